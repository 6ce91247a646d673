"""How long trials take, said before they begin."""

from collections.abc import Collection
from statistics import median

from .study import Study

SECONDS_A_CASE = 2.0
"""What a configuration was seen to take on one case, compiled, timed and checked on one core: from 1 to 4 s over the
shipped kernels. It is said to be an estimate wherever it is used; trials that were made count before it."""


def expected(count: int, cases: int, jobs: int, seen: Collection[float]) -> str:
    """In words, how long ``count`` configurations take.

    Args:
        cases: That each of them is timed on.
        jobs: How many run at a time.
        seen: Seconds that earlier ones took.
    """
    each = median(seen) if seen else SECONDS_A_CASE * cases
    minutes = count * each / jobs / 60
    long = "less than a minute" if minutes < 1 else f"about {minutes:.0f} minute{'s' * (minutes >= 1.5)}"
    how = "measured" if seen else "estimated"
    return f"{long} with {jobs} at a time ({each:.1f} s each, {how})"


def ahead(study: Study, trials: int, jobs: int, seen: Collection[float]) -> str:
    """What a search is about to try, whether that is all there is, and how long it takes; "" if nothing is left.

    Args:
        trials: What the search was asked for.
        seen: Seconds that trials of the kernel took.
    """
    legal, done = len(study.group.legal), len(study.decided)
    total = study.planned(trials)
    if total <= done:
        return ""
    what = f"all {legal} legal configurations" if total == legal else f"{total} of {legal} legal configurations"
    if done:
        what += f", {done} of them before,"
    return f"{study.group}: {what} are tried, in {expected(total - done, len(study.group.cases), jobs, seen)}"
