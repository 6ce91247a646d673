"""How long trials take, said before they begin."""

from collections.abc import Collection
from statistics import median

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
    long = f"{minutes:.0f} minutes" if minutes >= 1.5 else "1 minute" if minutes > 0.75 else "less than a minute"
    how = "measured" if seen else "estimated"
    return f"about {long} with {jobs} at a time ({each:.1f} s each, {how})"
