"""How sure a difference of accuracies is: bootstrap intervals, and paired wins and losses."""

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean and its bootstrap interval, in the unit of what was averaged."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """Problems by whether two methods solve them.

    Args:
        wins: That the first method misses and the second solves.
        losses: That the first solves and the second misses.
        both, neither: Solved by both, missed by both.
    """

    wins: int
    losses: int
    both: int
    neither: int


def paired(first: np.ndarray, second: np.ndarray) -> Paired:
    """Compare two methods problem by problem.

    Args:
        first, second: Whether each problem is solved, bool arrays of one shape.

    Raises:
        ValueError: arrays of different shapes.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise ValueError(f"results of {first.shape} and {second.shape} problems; pairs need the same problems")
    cells = (~first & second, first & ~second, first & second, ~first & ~second)
    return Paired(*(int(cell.sum()) for cell in cells))


def bootstrap(
    values: np.ndarray, shared: bool, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> list[Interval]:
    """Intervals of means over bases, adapters and problems, all of which are resampled.

    Bases are drawn with replacement, for each drawn base its adapters, for each drawn adapter its problems
    (the hierarchical bootstrap of Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
    The interval lies between the quantiles of the resampled means. What there is but one of is not resampled in effect,
    so that its variance is not in the interval.

    Args:
        values: One number for each problem, ``[measures, bases, adapters, problems]``; all measures are resampled
            alike, so that differences between them keep their pairing.
        shared: Whether problem i is the same one for all adapters; it is then drawn for all together.
        resamples: Bootstrap samples.
        seed: Of the draws.
        level: Share of the samples' means within the interval, above 0 and below 1.

    Returns:
        An interval for each measure.

    Raises:
        ValueError: another number of axes, nothing to average, or settings out of range.
    """
    values = np.asarray(values, float)
    if values.ndim != 4 or not values.size:
        raise ValueError(f"values are {values.shape}; give [measures, bases, adapters, problems], none of them 0")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"{resamples} resamples at level {level}; 1 or more, and a level between 0 and 1")
    _, bases, adapters, problems = values.shape
    draw = np.random.default_rng(seed)
    drawn_bases = draw.integers(bases, size=(resamples, bases))
    total = np.zeros((resamples, len(values)))
    counts = _counts(draw, resamples, problems) if shared else None
    # A base that is drawn twice has its adapters drawn twice: the k-th place of a sample draws for itself.
    for place in range(bases):
        drawn_adapters = draw.integers(adapters, size=(resamples, adapters))
        for base in range(bases):
            chosen = drawn_bases[:, place] == base
            for turn in range(adapters):
                for adapter in range(adapters):
                    rows = chosen & (drawn_adapters[:, turn] == adapter)
                    if not rows.any():
                        continue
                    weights = _counts(draw, int(rows.sum()), problems) if counts is None else counts[rows]
                    total[rows] += weights @ values[:, base, adapter].T
    means = total / (bases * adapters * problems)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return [Interval(*map(float, each)) for each in zip(values.mean((1, 2, 3)), low, high)]


def _counts(draw: np.random.Generator, samples: int, problems: int) -> np.ndarray:
    """How often each problem is drawn in each sample, ``[samples, problems]``."""
    drawn = draw.integers(problems, size=(samples, problems)) + problems * np.arange(samples)[:, None]
    return np.bincount(drawn.ravel(), minlength=samples * problems).reshape(samples, problems).astype(float)
