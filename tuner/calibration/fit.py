"""A chip's constants from measured times: damped Gauss-Newton in their logarithms, and how well ranks agree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cold_kernels.ascend.chips import CONSTANTS, Chip

from ..search.evaluate import Timed

NOISE = 0.005
"""Least relative error of a measured or simulated time; more where the model fits worse."""
INSIST = 3
"""Standard errors by which a constant has to miss its interval to be left outside it."""
SURE = 0.1
"""Largest standard error of a constant that counts as seen; half of its interval at most."""
STEP = 0.01
SEEN, UNSEEN, HELD, INSISTED = "seen", "unseen", "held", "insisted"
OUTLIER = 2.5
"""Residuals beyond so many times the scale count linearly, not squared."""
ROUNDS = 25


@dataclass(frozen=True)
class Seen:
    """A measured time beside the execution that simulates it; ``name`` is kernel and case, ``us`` a median.

    ``uses`` names the constants that the simulated time depends on, if that is known.
    """

    kind: str
    name: str
    timed: Timed
    us: float
    spread: float
    uses: frozenset[str] | None = None


@dataclass(frozen=True)
class FittedConstants:
    """Constants by name, their standard errors as a share of them, and how each was found.

    ``seen``; ``unseen``, the nominal value or near it; ``held`` at an end of its interval; ``insisted``, outside it.
    """

    values: dict[str, float]
    errors: dict[str, float]
    status: dict[str, str]


@dataclass(frozen=True)
class Agreement:
    """How well two chips put the configurations of a case in the measured order."""

    case: str
    configurations: int
    kendall_tau: Mapping[str, float]
    top5_recall: Mapping[str, float]


def fit(seen: Sequence[Seen], chip: Chip, names: Sequence[str] | None = None) -> FittedConstants:
    """The constants, or those of ``names``, with which ``chip`` explains the times best.

    A constant that the times say little about stays near its value on ``chip``: it is drawn there as weakly as its
    interval is wide. One that ends outside its interval is put on the interval's end and the others are fitted again,
    unless it is outside by `INSIST` standard errors.
    """
    problem = Problem(seen, chip, names)
    theta, _ = problem.solve(problem.start, np.ones(len(problem.names), bool))
    problem.scale = max(NOISE, 1.4826 * float(np.median(np.abs(problem.residuals(theta)))))
    best = problem.within(theta)
    if INSISTED in best.status:
        # One that hides behind others where the search began may be what they are bent for.
        for number in [number for number, status in enumerate(best.status) if status == UNSEEN]:
            other = np.clip(best.theta, problem.low, problem.high)
            other[number] = problem.high[number]
            best = min(best, problem.within(other), key=lambda found: found.cost)
    return FittedConstants(
        dict(zip(problem.names, map(float, np.exp(best.theta)), strict=True)),
        dict(zip(problem.names, map(float, best.error), strict=True)),
        dict(zip(problem.names, best.status, strict=True)),
    )


class _Found(NamedTuple):
    theta: np.ndarray
    error: np.ndarray
    status: list[str]
    cost: float


class Problem:
    """Measured times, and the constants of ``chip`` by ``names`` that are to explain them."""

    def __init__(self, seen: Sequence[Seen], chip: Chip, names: Sequence[str] | None = None) -> None:
        self.seen, self.chip, self.scale = seen, chip, NOISE
        self.names = list(names or chip.constants)
        self.start = np.log([chip.constants[name] for name in self.names])
        self.low = np.log([CONSTANTS[name].low for name in self.names])
        self.high = np.log([CONSTANTS[name].high for name in self.names])
        self.width = np.maximum(self.high - self.low, STEP)
        self.measured = np.log([one.us for one in seen])
        self.spread = np.array([one.spread for one in seen])

    def on(self, theta: np.ndarray) -> Chip:
        """The chip with these constants, in their logarithms."""
        constants = dict(zip(self.names, map(float, np.exp(theta)), strict=True))
        return replace(self.chip, constants=self.chip.constants | constants)

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """Logarithm of measured over simulated, by time."""
        on = self.on(theta)
        return self.measured - np.log([one.timed.on(on) for one in self.seen])

    def within(self, theta: np.ndarray) -> _Found:
        """The best constants from ``theta`` on, inside their intervals unless the data insist."""
        free = np.ones(len(self.names), bool)
        while True:
            theta, error = self.solve(theta, free)
            beyond = np.maximum(self.low - theta, theta - self.high)
            offends = free & (beyond > 1e-9) & (beyond < INSIST * error)
            if not offends.any():
                break
            theta[offends] = np.clip(theta, self.low, self.high)[offends]
            free &= ~offends
        blurred = error > np.minimum(SURE, self.width / 2)
        status = np.where(~free, HELD, np.where(blurred, UNSEEN, np.where(beyond > 1e-9, INSISTED, SEEN)))
        return _Found(theta, error, status.tolist(), self._cost(theta, self.residuals(theta)))

    def solve(self, theta: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best constants where ``free``, and the standard error of every one (0 where it is not)."""
        damping, off = 1e-3, self.residuals(theta)
        for _ in range(ROUNDS):
            slopes = self.slopes(theta, off, free)
            weights = self._weights(off)
            curvature = slopes.T @ (weights[:, None] * slopes) + np.diag(1 / self.width[free] ** 2)
            pull = slopes.T @ (weights * off) - ((theta - self.start) / self.width**2)[free]
            cost, moved = self._cost(theta, off), 0.0
            while damping < 1e6:
                step = np.zeros_like(theta)
                step[free] = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), pull)
                step = np.clip(step, -1, 1)
                then = self.residuals(theta + step)
                if self._cost(theta + step, then) < cost:
                    theta, off, moved = theta + step, then, float(np.abs(step).max())
                    damping = max(damping / 10, 1e-6)
                    break
                damping *= 10
            if moved < 2e-3:
                break
        error = np.zeros_like(theta)
        error[free] = np.sqrt(np.diag(np.linalg.inv(curvature)))
        return theta, error

    def slopes(self, theta: np.ndarray, off: np.ndarray, free: np.ndarray) -> np.ndarray:
        """By time and free constant: by how much of itself the simulated time grows where the constant does."""
        columns = []
        for number in np.flatnonzero(free):
            there = theta.copy()
            there[number] += STEP
            on, name = self.on(there), self.names[number]
            grown = [one.timed.on(on) if one.uses is None or name in one.uses else None for one in self.seen]
            then = [
                at if us is None else measured - math.log(us)
                for us, at, measured in zip(grown, off, self.measured, strict=True)
            ]
            columns.append((off - np.array(then)) / STEP)
        return np.stack(columns, 1)

    def without(self, kept: np.ndarray, theta: np.ndarray, off: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """The best constants for the ``kept`` times, within their intervals, where ``slopes`` at ``theta`` hold."""
        moved = np.zeros_like(theta)
        for _ in range(ROUNDS):
            left = (off - slopes @ moved)[kept]
            weights, rows = self._weights(off - slopes @ moved)[kept], slopes[kept]
            curvature = rows.T @ (weights[:, None] * rows) + np.diag(1 / self.width**2)
            pull = rows.T @ (weights * left) - (theta + moved - self.start) / self.width**2
            step = np.linalg.solve(curvature, pull)
            before, moved = moved, np.clip(theta + moved + step, self.low, self.high) - theta
            if np.abs(moved - before).max() < 1e-4:
                break
        return theta + moved

    def _sigma(self) -> np.ndarray:
        return np.hypot(self.scale, self.spread / 2)

    def _weights(self, off: np.ndarray) -> np.ndarray:
        sigma = self._sigma()
        return np.minimum(1, OUTLIER * sigma / np.maximum(np.abs(off), 1e-12)) / sigma**2

    def _cost(self, theta: np.ndarray, off: np.ndarray) -> float:
        size = np.abs(off) / self._sigma()
        losses = np.where(size <= OUTLIER, size**2 / 2, OUTLIER * size - OUTLIER**2 / 2)
        return float(losses.sum() + (((theta - self.start) / self.width) ** 2).sum() / 2)


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b of two lists: 1 for the same order, -1 for the opposite one; 0 where one has no order."""
    agree = ties_one = ties_other = pairs = 0
    for a in range(len(one)):
        for b in range(a):
            first = (one[a] > one[b]) - (one[a] < one[b])
            second = (other[a] > other[b]) - (other[a] < other[b])
            agree += first * second
            ties_one += not first
            ties_other += not second
            pairs += 1
    scale = math.sqrt((pairs - ties_one) * (pairs - ties_other))
    return agree / scale if scale else 0.0


def recall(guess: Sequence[float], truth: Sequence[float], top: int) -> float:
    """The share of the ``top`` smallest of ``truth`` that are among the ``top`` smallest of ``guess``."""

    def best(values: Sequence[float]) -> set[int]:
        return set(sorted(range(len(values)), key=values.__getitem__)[:top])

    return len(best(guess) & best(truth)) / min(top, len(truth))
