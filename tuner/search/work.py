"""A worker's share: searches on a shared storage, worked on until they have their trials; nothing is decided here."""

from collections.abc import Callable, Mapping, Sequence

from cold_kernels.ascend.machine import Machine
from cold_kernels.spec import KernelSpec

from .display import Report
from .interrupt import Interrupt
from .limits import Limits
from .session import GroupSearch, pool_for
from .together import search_together


def lend(
    searches: Sequence[GroupSearch],
    kernels: Mapping[KernelSpec, str],
    machine_for: Callable[[str], Machine],
    jobs: int,
    limits: Limits,
    report: Report,
) -> int:
    """Work on the searches one after the other, with others; how many trials were done here.

    Raises:
        KeyboardInterrupt: Ctrl-C; what ran here is free for others.
    """
    done = 0
    with Interrupt() as interrupt:
        for each in searches:
            study, group = each.study, each.group
            with pool_for([each], machine_for, study.noted("chip"), kernels, jobs, limits) as pool:
                earlier = study.decided
                with report.progress(group, len(earlier), study.target) as progress:
                    for config, outcome in earlier:
                        progress.seen(outcome, config == group.default)

                    def show(count, config, outcome, progress=progress, group=group):
                        progress.seen(outcome, config == group.default)
                        progress(count, outcome)

                    done += search_together(study, 0, pool, interrupt, show)
    return done
