"""Timings of functions that take turns, so that what disturbs the machine disturbs all of them."""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUND = 2e-3
"""Seconds of calls that one round makes of each function, about."""


@dataclass(frozen=True)
class Times:
    """Seconds a call in each round: of ``ours``, and of each of the ``others``, the first of which is the reference."""

    ours: tuple[float, ...]
    others: Mapping[str, tuple[float, ...]]

    @property
    def median(self) -> float:
        """Of ours."""
        return statistics.median(self.ours)

    @property
    def medians(self) -> dict[str, float]:
        """Of the others."""
        return {name: statistics.median(times) for name, times in self.others.items()}

    @property
    def best(self) -> str:
        """Name of the fastest of the others."""
        return min(self.medians, key=self.medians.get)

    @property
    def reference(self) -> str:
        return next(iter(self.others))

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over the reference, round by round: what does not depend on how fast the machine is just now."""
        return tuple(a / b for a, b in zip(self.ours, self.others[self.reference], strict=True))

    @property
    def fastest(self) -> float:
        """Ours over the reference, each in its own fastest round: disturbances only ever add to a time."""
        return min(self.ours) / min(self.others[self.reference])


def side_by_side(
    ours: Callable[[], object],
    others: Mapping[str, Callable[[], object]],
    rounds: int = 40,
    calls: int | None = None,
    finish: Callable[[], object] = lambda: None,
) -> Times:
    """Time ``ours`` and the ``others`` in turn: a round makes ``calls`` of each.

    By default as many of each as take `ROUND` seconds, or one call of the slowest, so that all are disturbed as much.
    Their order changes from round to round: what comes and goes at the same pace must not always meet the same one.
    ``finish`` ends each function's calls of a round, and is timed with them: it waits for what they launched.
    """
    functions = {"": ours, **others}
    counts = dict.fromkeys(functions, calls) if calls else _calls(functions)
    seen: dict[str, list[float]] = {name: [] for name in functions}
    order, shuffled = list(functions), random.Random(0)
    for _ in range(rounds):
        for name in order:
            seen[name].append(_seconds(functions[name], counts[name], finish))
        shuffled.shuffle(order)
    times = {name: tuple(each) for name, each in seen.items()}
    return Times(times.pop(""), times)


def _calls(functions: Mapping[str, Callable[[], object]]) -> dict[str, int]:
    for function in functions.values():
        function()
    once = {name: max(1e-7, _seconds(function, 3)) for name, function in functions.items()}
    longest = max(ROUND, *once.values())
    return {name: max(1, round(longest / seconds)) for name, seconds in once.items()}


def _seconds(function: Callable[[], object], calls: int, finish: Callable[[], object] = lambda: None) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    finish()
    return (time.perf_counter() - start) / calls
