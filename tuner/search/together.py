"""The search of one group by several tuners on a shared storage: each takes the places that no other has taken."""

import time
from collections.abc import Callable

from cold_kernels.record import Record

from .interrupt import Interrupt
from .pool import Pool
from .study import Study
from .tasks import Attempt
from .trial import Outcome

LOOK_EVERY = 0.25
"""Seconds between two looks at what the others did, where there is nothing to do but wait for them."""


def search_together(
    study: Study,
    number: int,
    pool: Pool,
    interrupt: Interrupt,
    report: Callable[[int, Record, Outcome], None],
) -> int:
    """As `search` does alone, until the study has as many trials as its `target`.

    Args:
        report: Told of each trial that ends, here or elsewhere.

    Returns:
        How many trials were done here.

    Raises:
        KeyboardInterrupt: Ctrl-C; the trials that ran here are free for others.
        ToolchainMissing: the compiler went away; likewise.
    """
    running, done_here, shown = 0, 0, {config for config, _ in study.decided}
    try:
        while True:
            while pool.free and (proposal := study.claim(study.target)):
                pool.submit(proposal, number, Attempt(proposal.config, proposal.best))
                running += 1
            for config, outcome in study.decided:
                if config not in shown:
                    shown.add(config)
                    report(len(shown), config, outcome)
            if not running and len(shown) >= min(study.target, len(study.group.legal)):
                return done_here
            with interrupt.allowed():
                if not running:
                    time.sleep(LOOK_EVERY)
                    answer = None
                else:
                    answer = pool.wait(LOOK_EVERY if pool.free else 10 * LOOK_EVERY)
            if answer:
                running -= 1
                done_here += 1
                study.tell(*answer)
    except BaseException:
        pool.cancel()
        study.abandon()
        raise
