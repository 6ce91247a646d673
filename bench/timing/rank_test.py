"""The rank test of Mann and Whitney, for times of few rounds."""

from collections.abc import Sequence


def greater(one: Sequence[float], other: Sequence[float]) -> float:
    """The probability that ``one`` would be ahead of ``other`` as it is, or further, if both had one distribution.

    Exact and one-sided (H. B. Mann and D. R. Whitney, Ann. Math. Stat. 18, 1947, pages 50-60): of all pairs those in
    which ``one`` has the greater number are counted. Equal numbers count as not greater, so that ties never make
    a difference look surer than it is.
    """
    wins = sum(a > b for a in one for b in other)
    counts = _arrangements(len(one), len(other))
    return sum(counts[wins:]) / sum(counts)


def _arrangements(one: int, other: int) -> list[int]:
    """For each number of pairs won, in how many orders of the two samples it is: a Gaussian binomial coefficient."""
    counts = [1] + [0] * (one * other)
    for step in range(1, one + 1):
        for place in range(len(counts) - 1, other + step - 1, -1):
            counts[place] -= counts[place - other - step]
        for place in range(step, len(counts)):
            counts[place] += counts[place - step]
    return counts
