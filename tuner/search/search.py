"""The search of one group: batch after batch of its study, as many trials at a time as the pool takes."""

from collections import deque
from collections.abc import Callable

from cold_kernels.record import Record

from .interrupt import Interrupt
from .pool import Pool
from .study import Study
from .tasks import Attempt
from .trial import Outcome


def search(
    study: Study,
    number: int,
    pool: Pool,
    trials: int,
    interrupt: Interrupt,
    report: Callable[[int, Record, Outcome], None],
) -> None:
    """Run trials until as many are decided as are planned, or nothing legal is left.

    Args:
        number: Of the study's group in the pool.
        report: Called with the number of decided trials, the latest configuration and its outcome.

    Raises:
        KeyboardInterrupt: Ctrl-C; the running trials were abandoned, the others are on disk.
        ToolchainMissing: the compiler went away; likewise.
    """
    done, total = len(study.decided), study.planned(trials)
    try:
        while done < total and (batch := study.batch(total - done)):
            waiting, running = deque(batch), 0
            while waiting or running:
                while waiting and pool.free:
                    proposal = waiting.popleft()
                    study.start(proposal)
                    pool.submit(proposal, number, Attempt(proposal.config, proposal.best))
                    running += 1
                with interrupt.allowed():
                    proposal, outcome = pool.wait()
                running -= 1
                study.tell(proposal, outcome)
                done += 1
                report(done, proposal.config, outcome)
    except BaseException:
        pool.cancel()
        study.abandon()
        raise
