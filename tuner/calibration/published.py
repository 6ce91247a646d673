"""The model's constants and what others published: fitted to it, and asked to predict what they were not fitted to.

A kernel counts as its weight says, and less for each of its rows the more rows it has, so that the one with most rows
does not decide alone. Rows on another clock than the device's are not fitted to.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cold_kernels.ascend.chips import CONSTANTS, DEFAULT_CHIP, Chip, chip_named
from cold_kernels.fidelity.published import Clock, PublishedRow

from .fit import FittedConstants, Problem, Seen, fit

SIGMA = 0.06
"""Standard error of the logarithm of a published time that counts fully: what repeated rows of one source scatter by."""

FITTED = (
    "load_rate", "load_rate_l2", "load_latency", "load_first", "store_rate", "store_latency", "burst", "vector_drain",
    "short_row", "scalar", "scalar_divide", "scalar_issue", "scalar_local", "scalar_global", "scalar_miss", "flag",
    "launch_us", "dispatch_us", "program_us", "hbm_share", "l2_ratio",
)  # fmt: skip
"""Constants that rows are asked about. The others are single instructions, which the tables tell exactly."""

MEASURED = (Clock.TASK, Clock.KERNEL)


@dataclass(frozen=True, eq=False)
class RowTime:
    """What the model says of a row on any chip: the execution is recorded once."""

    row: PublishedRow
    run: Any

    def on(self, chip: Chip) -> float:
        """Microseconds on the row's chip with the constants of ``chip``."""
        own = replace(chip_named(self.row.chip), constants=chip.constants)
        return self.row.predicted_us(self.run.on(own))

    def uses(self) -> frozenset[str]:
        """The constants of `FITTED` that its time changes with, at the present ones."""
        chip = chip_named(self.row.chip)
        now = self.on(chip)

        def moved(name: str, by: float) -> bool:
            return self.on(replace(chip, constants=chip.constants | {name: chip.constants[name] * by})) != now

        return frozenset(name for name in FITTED if moved(name, 1.5) or moved(name, 0.7))


@dataclass(frozen=True)
class Refit:
    """Constants fitted to all kernels, and by kernel those fitted to all others, with what these predict of it.

    Args:
        fitted: To all of them.
        without: ``{kernel: {constant: value}}`` fitted without the kernel.
        predicted: ``{row: (us, us)}``: by the constants of all kernels, and by those of all others.
    """

    fitted: FittedConstants
    without: dict[str, dict[str, float]]
    predicted: dict[str, tuple[float, float]]

    def interval(self, name: str) -> tuple[float, float]:
        """What fits allow: the least and the most without one kernel, and two standard errors about the fit of all."""
        value, error = self.fitted.values[name], self.fitted.errors[name]
        others = [values[name] for values in self.without.values()]
        low, high = value * math.exp(-2 * error), value * math.exp(2 * error)
        known = CONSTANTS[name]
        return max(known.low, min(low, *others)), min(known.high, max(high, *others))


def recorded(rows: Iterable[PublishedRow], tell: Callable[[str], None] = lambda name: None) -> list[RowTime]:
    """The rows, each compiled and executed."""
    found = []
    for row in rows:
        tell(row.name)
        found.append(RowTime(row, row.simulated()))
    return found


def refit(times: Sequence[RowTime], tell: Callable[[str], None] = lambda step: None) -> Refit:
    """Fit `FITTED` to the rows on the device's clock, robustly, with intervals of `CONSTANTS` as the prior.

    Without each kernel in turn the constants are fitted again where the slopes of the whole fit hold.
    """
    judged = [time for time in times if time.row.clock in MEASURED]
    counts = Counter(time.row.kernel.name for time in judged)
    seen = []
    for time in judged:
        tell(time.row.name)
        share = time.row.weight / math.sqrt(counts[time.row.kernel.name])
        spread = 2 * SIGMA / math.sqrt(share)
        seen.append(Seen("published", time.row.kernel.name, time, time.row.published_us, spread, time.uses()))
    chip = chip_named(DEFAULT_CHIP)
    fitted = fit(seen, chip, FITTED)
    problem = Problem(seen, chip, FITTED)
    theta = np.log([fitted.values[name] for name in FITTED])
    off = problem.residuals(theta)
    slopes = problem.slopes(theta, off, np.ones(len(FITTED), bool))
    without, predicted = {}, {}
    for kernel in counts:
        tell(f"without {kernel}")
        own = np.array([one.name == kernel for one in seen])
        others = problem.without(~own, theta, off, slopes)
        without[kernel] = dict(zip(FITTED, map(float, np.exp(others)), strict=True))
        for time in judged:
            if time.row.kernel.name == kernel:
                predicted[time.row.name] = time.on(problem.on(theta)), time.on(problem.on(others))
    return Refit(fitted, without, predicted)
