"""One wall-clock benchmark: timed beside a reference, shown, kept, and compared with what was accepted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .side_by_side import ROUND, Times, side_by_side
from .wall_clock import ACCEPTED, CPU, RESULTS, Measured, change, merge, read

ROUNDS = 20
AGAIN = (2, 4)
"""Times as many rounds as at first."""
SHOWN = 5
"""Rounds for pytest-benchmark's table; what counts was timed side by side before."""
ACCEPT = 'python -m bench accept --wall-clock --reason "..."'


@dataclass
class Race:
    """Times a function beside others; what it computes must have been found right before.

    Args:
        name: Of the benchmark.
        benchmark: pytest-benchmark's fixture.
        results: The folder where times are kept.
        accepted: The folder of accepted times.
    """

    name: str
    benchmark: Any
    results: Path = RESULTS
    accepted: Path = ACCEPTED

    def __call__(
        self,
        ours: Callable[[], object],
        others: Mapping[str, Callable[[], object]],
        rounds: int = ROUNDS,
        calls: int | None = None,
        device: str = CPU,
        finish: Callable[[], object] = lambda: None,
    ) -> Times:
        """Time ``ours`` and the ``others`` in turn. The first of the others is the reference, which must not change.

        ``rounds``, ``calls`` and ``finish`` are as in `side_by_side`, ``device`` is what the result is filed under.
        What looks slower than accepted is timed `AGAIN` before it fails.
        """
        before = read(device, self.accepted).get(self.name)
        times = side_by_side(ours, others, rounds, calls, finish)
        if before and before.reference != times.reference:
            merge(device, {self.name: Measured.of(times)}, self.results)
            beside = f"accepted beside {before.reference}, timed beside {times.reference}"
            pytest.fail(f"{self.name}: {beside}, which cannot be compared\nIf that is meant: {ACCEPT}", pytrace=False)
        for longer in AGAIN:
            if before and change(before, Measured.of(times)).slower:
                times = side_by_side(ours, others, longer * rounds, calls, finish)
        now = Measured.of(times)
        merge(device, {self.name: now}, self.results)
        to = change(before, now) if before else None
        self._show(times, str(to) if to else f"nothing accepted on {device}")
        iterations = calls or max(1, round(ROUND / times.median))
        self.benchmark.pedantic(lambda: (ours(), finish()), rounds=SHOWN, iterations=iterations)
        if to and to.slower:
            beside = f"beside {now.reference} on {device}"
            pytest.fail(f"{self.name}: slower than accepted, {beside}: {to}\nIf that is meant: {ACCEPT}", pytrace=False)
        return times

    def _show(self, times: Times, compared: str) -> None:
        ratio = times.median / times.medians[times.best]
        self.benchmark.extra_info |= dict(
            ratio=round(ratio, 3), against=times.best, microseconds=round(times.median * 1e6, 2)
        )
        self.benchmark.extra_info |= {f"{k}_microseconds": round(v * 1e6, 2) for k, v in times.medians.items()}
        others = ", ".join(f"{times.median / other:.2f} x {name}" for name, other in times.medians.items())
        print(f"\n{self.name}: {times.median * 1e6:.1f} us = {others}; {compared}", end="")
