"""The model's constants and what others published: fitted to it, and asked to predict what they were not fitted to.

A kernel counts as its weight says, and less for each of its rows the more rows it has, so that the one with most rows
does not decide alone. Rows on another clock than the device's are not fitted to, nor those that were measured within
other work: their programs come from cold instruction memory, which is not modelled.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cold_kernels.ascend.chips import CONSTANTS, DEFAULT_CHIP, Chip, chip_named
from cold_kernels.ascend.simulator.trace.events import Issue, ScalarAccess, ScalarWork
from cold_kernels.ascend.simulator.trace.work import LOAD, STORE
from cold_kernels.fidelity.published import PublishedRow

from .fit import FittedConstants, Problem, Seen, fit

SIGMA = 0.06
"""Standard error of the logarithm of a published time that counts fully: what equal rows of one source scatter by."""

FITTED = (
    "load_rate", "store_rate", "burst", "vector_drain", "short_row", "scalar", "scalar_divide", "scalar_local",
    "scalar_global", "scalar_miss", "scalar_first", "flag", "launch_us", "dispatch_us", "program_us", "hbm_share",
    "l2_ratio",
)  # fmt: skip
"""Constants that rows are asked about. The others are of single instructions and copies, which the tables tell."""


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
        """The constants of `FITTED` that its time may change with."""
        names = {"launch_us", "dispatch_us", "program_us", "hbm_share", "l2_ratio", "flag", "scalar", "vector_drain"}
        for event in (event for trace in self.run.execution.traces for event in trace):
            if isinstance(event, Issue):
                names |= {name for name, _ in event.work.counts}
                names |= {LOAD: {"load_rate"}, STORE: {"store_rate"}}.get(event.work.pipe, set())
            elif isinstance(event, ScalarAccess):
                names |= {"scalar_local"} if event.local else {"scalar_global", "scalar_miss", "scalar_first"}
            elif isinstance(event, ScalarWork) and event.divisions:
                names.add("scalar_divide")
        return frozenset(names & set(FITTED))


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


def _told_apart(times: Iterable[RowTime], chip: Chip) -> list[tuple[str, list[RowTime]]]:
    """Rows of each kernel that the model tells apart by a thousandth; the others count together, by their mean."""
    groups: dict[tuple[str, float], list[RowTime]] = {}
    for time in times:
        groups.setdefault((time.row.kernel.name, round(math.log(time.on(chip)), 3)), []).append(time)
    return [(kernel, alike) for (kernel, _), alike in groups.items()]


def refit(times: Sequence[RowTime], tell: Callable[[str], None] = lambda step: None) -> Refit:
    """Fit `FITTED` to the rows on the device's clock, robustly, with intervals of `CONSTANTS` as the prior.

    Without each kernel in turn the constants are fitted again where the slopes of the whole fit hold.
    """
    chip = chip_named(DEFAULT_CHIP)
    judged = [time for time in times if time.row.comparable and not time.row.cold]
    counts = Counter(time.row.kernel.name for time in judged)
    seen = []
    for kernel, alike in _told_apart(judged, chip):
        tell(alike[0].row.name)
        share = sum(time.row.weight for time in alike) / math.sqrt(counts[kernel])
        us = math.exp(sum(math.log(time.row.published_us) for time in alike) / len(alike))
        seen.append(Seen("published", kernel, alike[0], us, 2 * SIGMA / math.sqrt(share), alike[0].uses()))
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


def off(us: float, published_us: float) -> float:
    """By how much two times differ, as the ratio of the greater to the less, less 1."""
    return math.exp(abs(math.log(us / published_us))) - 1


def summary(found: Refit, times: Sequence[RowTime]) -> dict:
    """``constants`` (of each ``value``, ``low``, ``high``, ``error``, ``status``), ``rows`` (of each ``published_us``,
    ``fitted_us``, ``left_out_us``), and for ``fitted`` and ``left_out`` the errors: ``median``, and the share of rows
    ``within_25``, ``within_35`` and ``within_50`` per cent."""
    constants = {}
    for name, value in found.fitted.values.items():
        low, high = found.interval(name)
        constants[name] = dict(
            value=value, low=low, high=high, error=found.fitted.errors[name], status=found.fitted.status[name]
        )
    rows, errors = {}, {"fitted": [], "left_out": []}
    for time in times:
        if time.row.name in found.predicted:
            published = time.row.published_us
            pair = found.predicted[time.row.name]
            rows[time.row.name] = dict(published_us=published, fitted_us=pair[0], left_out_us=pair[1])
            for key, us in zip(errors, pair, strict=True):
                errors[key].append(off(us, published))
    shares = {
        key: {"median": float(np.median(list_))}
        | {f"within_{per_cent}": float(np.mean(np.array(list_) <= per_cent / 100)) for per_cent in (25, 35, 50)}
        for key, list_ in errors.items()
    }
    return {"constants": constants, "rows": rows, **shares}


def text(found: Refit, times: Sequence[RowTime]) -> str:
    """The constants in the form of `chips.CONSTANTS`, and the errors of the rows."""
    said = summary(found, times)
    lines = []
    for name, figures in said["constants"].items():
        value, low, high = (f"{figures[key]:.3g}" for key in ("value", "low", "high"))
        about = f"{CONSTANTS[name].unit}; {figures['status']}, standard error {figures['error']:.0%}"
        lines.append(f'"{name}": Constant({value}, {low}, {high}, ...),  # {about}')
    for key, figures in ((key, said[key]) for key in ("fitted", "left_out")):
        lines.append(
            f"{key}: {len(said['rows'])} rows, median error {figures['median']:.1%}, within 25 %: "
            f"{figures['within_25']:.0%}, 35 %: {figures['within_35']:.0%}, 50 %: {figures['within_50']:.0%}"
        )
    return "\n".join(lines)
