"""A Gaussian process over the legal configurations of a small space: what it expects to gain most is tried next."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .domain import Domain

MOST_KNOWN = 200
"""Of more trials it learns from the fastest so many: its cost grows with the cube of their number."""
JITTER = 1e-6
LENGTHS = (-2.5, 3.0)
"""Natural logarithms of the shortest and longest length that a tunable's effect may have; its whole range is 1."""
NOISES = (-5.0, -0.5)
"""The same of the noise, relative to the spread of the times. Simulated times have none; what the lengths do not
explain counts as such."""
FIRST = 0.0, -3.0
"""Where the search for lengths and noise begins."""
STEPS, ROUNDS, BETTER = (1.0, 0.5), 3, 1e-6
DIGITS = 9
"""To so many digits expectations are compared, so that ties are none that rounding decides."""


class Surrogate:
    """Expects of each legal configuration a time, and how sure that is.

    The logarithm of the time is a Gaussian process with a Matern covariance (smoothness 5/2) and a length for each
    tunable, which is fitted by the likelihood of what is known with a penalty on lengths far from 1 (Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, sections 4.2.1 and 5.4). What cannot be used counts as
    slow as the slowest.
    """

    def __init__(self, domain: Domain) -> None:
        self._points = sorted(domain.points)
        self._at = {point: i for i, point in enumerate(self._points)}
        self._axes = [_axis(column, ordered) for column, ordered in _columns(domain, self._points)]
        self._fitted = self._first = np.array([FIRST[0]] * len(self._axes) + [FIRST[1]])
        self._known: list[int] = []
        self._times = np.zeros(0)

    @property
    def ready(self) -> bool:
        """Whether it has learned of anything that can be used."""
        return bool(self._known)

    def learn(self, outcomes: Mapping[tuple[int, ...], float | None]) -> None:
        """Fit it to outcomes: times by the points of configurations, None where a configuration cannot be used."""
        usable = [us for us in outcomes.values() if us is not None]
        if not usable:
            return
        slow = max(usable)
        times = sorted((slow if us is None else us, self._at[point]) for point, us in outcomes.items())[:MOST_KNOWN]
        self._known = [at for _, at in times]
        logs = np.log([us for us, _ in times])
        self._times = (logs - logs.mean()) / (logs.std() + 1e-9)
        self._fitted = self._fit(self._first)  # whatever was fitted before: a search may go on in another process

    def best_of(self, free: Sequence[tuple[int, ...]], running: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """The point among ``free`` with the largest expected improvement; those ``running`` turn out as expected.

        Of equals it is the first of ``free``.
        """
        lengths, noise = self._fitted[:-1], self._fitted[-1]
        known, times = self._known, self._times
        factor = self._factor(known, lengths, noise)
        weights = _solve(factor, times)
        variance = max(float(weights @ weights) / len(times), JITTER)
        if waiting := sorted({self._at[point] for point in running} - set(known)):
            expected = _solve(factor, self._covariance(known, waiting, lengths)).T @ weights
            known, times = [*known, *waiting], np.append(times, expected)
            factor = self._factor(known, lengths, noise)
            weights = _solve(factor, times)
        explained = _solve(factor, self._covariance(known, [self._at[point] for point in free], lengths))
        mean = explained.T @ weights
        spread = np.sqrt(np.maximum(variance * (1 - (explained**2).sum(0)), 1e-12))
        gains = _expected_improvement(float(self._times.min()), mean, spread)
        if gains.max() < 1e-12:  # sure that nothing is faster: what it expects to come closest
            gains = spread - mean
        return free[int(np.argmax(np.round(gains / np.abs(gains).max(), DIGITS)))]

    def spread_from(self, candidates: Sequence[tuple[int, ...]], taken: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
        """The candidate farthest from all that are taken; of equals the first."""
        at = [self._at[point] for point in candidates]
        others = [self._at[point] for point in taken]
        distance = sum(_squares(axis, at, others) for axis in self._axes)
        return candidates[int(np.argmax(np.round(distance.min(1), DIGITS)))]

    def _fit(self, start: np.ndarray) -> np.ndarray:
        """Lengths and noise of a good likelihood: one of them at a time moves by a step while that helps."""
        squares = [_squares(axis, self._known, self._known) for axis in self._axes]
        found, best = start, self._unlikely(start, squares)
        for step in STEPS:
            for _ in range(ROUNDS):
                before = best
                for which, way in [(which, way) for which in range(len(found)) for way in (step, -step)]:
                    moved = found.copy()
                    moved[which] += way
                    least, most = NOISES if which == len(found) - 1 else LENGTHS
                    if least <= moved[which] <= most and (score := self._unlikely(moved, squares)) < best - BETTER:
                        found, best = moved, score
                if best == before:
                    break
        return found

    def _unlikely(self, fitted: np.ndarray, squares: Sequence[np.ndarray]) -> float:
        """Negative logarithm of the likelihood, the process's variance being the best one, and the penalty."""
        covariance = _matern(sum(math.exp(-2 * log) * square for log, square in zip(fitted, squares, strict=False)))
        try:
            factor = np.linalg.cholesky(covariance + _noise(fitted[-1]) * np.eye(len(covariance)))
        except np.linalg.LinAlgError:
            return math.inf
        weights, count = _solve(factor, self._times), len(self._times)
        likelihood = 0.5 * count * math.log(float(weights @ weights) / count + 1e-12)
        penalty = 0.25 * float((fitted[:-1] ** 2).sum()) + 0.05 * (fitted[-1] - FIRST[1]) ** 2
        return likelihood + float(np.log(np.diag(factor)).sum()) + penalty

    def _factor(self, known: Sequence[int], lengths: np.ndarray, noise: float) -> np.ndarray:
        return np.linalg.cholesky(self._covariance(known, known, lengths) + _noise(noise) * np.eye(len(known)))

    def _covariance(self, one: Sequence[int], other: Sequence[int], lengths: np.ndarray) -> np.ndarray:
        scaled = (
            math.exp(-2 * log) * _squares(axis, one, other) for log, axis in zip(lengths, self._axes, strict=True)
        )
        return _matern(sum(scaled))


def _columns(domain: Domain, points: Sequence[tuple[int, ...]]):
    """The positions of each tunable that has a choice, and whether its values are numbers."""
    for axis, ordered in enumerate(domain.ordered):
        column = [point[axis] for point in points]
        if len(set(column)) > 1:
            yield column, ordered


def _axis(column: Sequence[int], ordered: bool) -> np.ndarray:
    """Coordinates of a tunable: its range, or two different words, are 1 apart. [configurations, 1 or words]"""
    places = np.array(column)
    if ordered:
        return ((places - places.min()) / (places.max() - places.min()))[:, None]
    return (places[:, None] == np.unique(places)[None, :]) / math.sqrt(2)


def _squares(axis: np.ndarray, one: Sequence[int], other: Sequence[int]) -> np.ndarray:
    return ((axis[one][:, None, :] - axis[other][None, :, :]) ** 2).sum(-1)


def _matern(squares: np.ndarray) -> np.ndarray:
    root = np.sqrt(5 * squares)
    return (1 + root + root * root / 3) * np.exp(-root)


def _noise(log: float) -> float:
    return math.exp(2 * log) + JITTER


def _solve(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.solve(factor, right)


def _expected_improvement(best: float, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Jones, Schonlau and Welch, J. Global Optimization 13 (1998), equation 15."""
    ahead = (best - mean) / spread
    below = 0.5 * (1 + np.array([math.erf(each / math.sqrt(2)) for each in ahead]))
    return spread * (ahead * below + np.exp(-ahead * ahead / 2) / math.sqrt(2 * math.pi))
