"""Random search without replacement, calculated and not sampled."""

import math

from ..space import RecordedSpace


def chance(space: RecordedSpace, evaluations: int, within: float) -> float:
    """How probable it is that random legal configurations contain one at most ``within``, relative, above the optimum.

    The hypergeometric distribution: 1 - C(N - n, k) / C(N, k) for n of N that are near and k draws.
    """
    far = space.legal - space.near(within)
    return 1 - math.comb(far, evaluations) / math.comb(space.legal, evaluations)
