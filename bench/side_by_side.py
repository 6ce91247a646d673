"""Timings of functions that take turns, so that what disturbs the machine disturbs all of them."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUND = 2e-3
"""Seconds of calls that one round makes of each function, about."""


@dataclass(frozen=True)
class Times:
    """Seconds a call: ``ours`` and each of the ``others``, medians over rounds."""

    ours: float
    others: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """Ours over the fastest of the others."""
        return self.ours / min(self.others.values())

    @property
    def best(self) -> str:
        """Name of the fastest of the others."""
        return min(self.others, key=self.others.get)


def side_by_side(
    ours: Callable[[], object],
    others: Mapping[str, Callable[[], object]],
    rounds: int = 40,
    calls: int | None = None,
) -> Times:
    """Time ``ours`` and the ``others`` in turn: a round makes ``calls`` of each, or `ROUND` seconds of them."""
    functions = {"": ours, **others}
    counts = {name: calls or _calls(function) for name, function in functions.items()}
    seen: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seen[name].append(_seconds(function, counts[name]))
    medians = {name: statistics.median(times) for name, times in seen.items()}
    return Times(medians.pop(""), medians)


def record(benchmark, times: Times, ours: Callable[[], object]) -> None:
    """Show ``ours`` in pytest-benchmark's table, and the comparison beside it."""
    benchmark.extra_info |= dict(
        ratio=round(times.ratio, 3), against=times.best, microseconds=round(times.ours * 1e6, 2)
    )
    benchmark.extra_info |= {f"{name}_microseconds": round(value * 1e6, 2) for name, value in times.others.items()}
    benchmark.pedantic(ours, rounds=20, iterations=_calls(ours), warmup_rounds=1)
    others = ", ".join(f"{times.ours / other:.2f} x {name}" for name, other in times.others.items())
    print(f"\n{benchmark.name}: {times.ours * 1e6:.1f} us = {others}", end="")


def _calls(function: Callable[[], object]) -> int:
    function()
    return max(1, math.ceil(ROUND / max(1e-7, _seconds(function, 3))))


def _seconds(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls
