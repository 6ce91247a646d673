"""Constants of `chips.py` from measured instruction tables; `python -m tuner refit` prints them.

The tables are Huawei MindStudio msKPP's of 910B1 and 910B3 (``csrc/prof_data/resource910b.cpp``, Mulan PSL v2), as JSON
files of ``{table: rows}``. They are not part of this project. Rows of a copy are ``[KiB a copy, GiB/s, ...]``, measured
on one core; rows of a vector instruction are ``[elements, rate, -, repeats, cycles]``, back to back.

What is printed has the form of `chips.CONSTANTS`: fitted value, the interval of the tables' own values, and the error
of the fit. Bursts, strides and alignment are in no table: their constants come from published samples. Where `chips.py`
says otherwise than this script, its source says why.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLOCK = 1.8e9
"""Hz; the tables' own cycles over their own microseconds."""

SETTLED = 4
"""Repeats from which on an instruction's own issue no longer shows."""

KNEES = (8 * 1024, 16 * 1024, 32 * 1024, 64 * 1024)
"""Bytes a copy up to which a table may follow a line of its own."""

CLASSES = {
    "repeat_unary": (
        "VADDS VMULS VMAXS VMINS VABS VRELU VRSQRT VREC VNOT VSHL VSHR VECTORDUP VCOPY VBRCB VCPADD "
        "VCGADD_FP32 VCGMAX_FP32 VCONV_FP16_FP32 VCONV_FP32_FP16 VCONV_BF16_FP32 VCONV_FP32_BF16 VCONV_FP32_INT32 "
        "VCONV_INT32_FP32 VCONV_INT16_FP16 VCONV_FP16_INT16 VCONV_INT8_FP16 VCONV_UINT8_FP16"
    ),
    "repeat_binary": "VADD VSUB VMUL VMAX VMIN VAND VOR VSEL VCMP",
    "repeat_2": "VEXP_FP32 VLN_FP32 VSQRT_FP32",
    "repeat_4": "VDIV VEXP_FP16 VLN_FP16 VSQRT_FP16",
    "repeat_sum": "VCADD_FP32",
    "repeat_extreme": "VCMAX VCMIN VCADD_FP16 VCGADD_FP16 VCGMAX_FP16 VCGMIN_FP16",
    "repeat_gather": "VGATHER VREDUCEV2",
}
"""Which instructions, by the first parts of their tables' names, each constant stands for."""


@dataclass(frozen=True)
class Fit:
    """A fitted constant.

    Args:
        name: As in `chips.CONSTANTS`.
        value: What fits best.
        low, high: The least and the greatest of the tables' own values.
        unit: Of all three.
        error: Median relative error of the fit over the rows.
        worst: The largest.
        about: What was fitted.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    error: float
    worst: float
    about: str

    def __str__(self) -> str:
        figures = ", ".join(f"{figure:.4g}" for figure in (self.value, self.low, self.high))
        about = f"{self.about}; error {self.error:.1%}, worst {self.worst:.1%}"
        return f'"{self.name}": Constant({figures}, "{self.unit}", "{about}"),'


def tables(folder: Path) -> dict[str, list[list[float]]]:
    """Every table of every JSON file in ``folder``.

    Raises:
        ValueError: there is none.
    """
    found: dict[str, list[list[float]]] = {}
    for file in sorted(folder.glob("*.json")):
        found |= json.loads(file.read_text())
    if not found:
        raise ValueError(f"{folder} has no JSON file with tables; name the folder that holds msKPP's")
    return found


def cycles_by_repeats(rows: Sequence[Sequence[float]]) -> dict[int, float]:
    """Cycles of one instruction by its repeats; rows without cycles are left out, some tables give them by 1000."""
    measured = {int(row[3]): row[4] for row in rows if len(row) > 4 and row[3] >= 1 and row[4] > 0}
    scale = 1000 if measured and min(measured.values()) > 1000 else 1
    return {repeats: cycles / scale for repeats, cycles in measured.items()}


def per_repeat(cycles: Mapping[int, float]) -> float | None:
    """Cycles a repeat once the issue no longer shows; None for a table that is no line."""
    settled = [spent / repeats for repeats, spent in cycles.items() if repeats >= SETTLED]
    if not settled:
        return None
    rate = statistics.median(settled)
    return rate if max(settled) <= 1.2 * rate and min(settled) >= rate / 1.2 else None


def of_class(name: str, prefixes: str, found: Mapping[str, list]) -> Fit | None:
    """The cycles a repeat of a class of instructions: the median of its tables."""
    rates, cycles = {}, {}
    for table, rows in found.items():
        if table.endswith("91095") or not _named(table, prefixes.split()):
            continue
        cycles[table] = cycles_by_repeats(rows)
        rates[table] = per_repeat(cycles[table])
    known = {table: rate for table, rate in rates.items() if rate}
    if not known:
        return None
    value = statistics.median(known.values())
    errors = [abs(max(3.0, value * repeats) / spent - 1) for table in known for repeats, spent in cycles[table].items()]
    about = f"{len(known)} tables, {len(rates) - len(known)} without cycles or no line"
    bounds = min(known.values()), max(known.values())
    return Fit(name, value, *bounds, "cycle", statistics.median(errors), max(errors), about)


def _named(table: str, prefixes: Sequence[str]) -> bool:
    return any(f"{table}_".startswith(f"{prefix}_") for prefix in prefixes)


def issue(found: Mapping[str, list]) -> Fit:
    """Cycles of an instruction of one repeat, where a repeat itself takes fewer."""
    single = []
    for table, rows in found.items():
        cycles = cycles_by_repeats(rows) if table.startswith("V") else {}
        if 1 in cycles and (rate := per_repeat(cycles)) and rate < 2.5:
            single.append(cycles[1])
    value = statistics.median(single)
    errors = [abs(value / one - 1) for one in single]
    about = f"one repeat, {len(single)} tables"
    return Fit("vector_issue", value, min(single), max(single), "cycle", statistics.median(errors), max(errors), about)


def copies(found: Mapping[str, list], table: str) -> tuple[float, float, float, float, float]:
    """Start-up cycles, bytes a cycle beyond it, bytes a cycle at most, and the median and worst error of a copy table.

    A copy takes ``max(start + bytes / rate, bytes / most)`` cycles; the first part is fitted to copies up to a knee, by
    relative error, the second to those above 64 KiB. The knee with the least worst error is taken, or none.
    """
    import numpy as np

    rows = [(row[0] * 1024, row[0] * 1024 / (row[1] * 2**30) * CLOCK) for row in found[table] if row[1] > 0]
    size, cycles = np.array(sorted(rows)).T
    fits = []
    for knee in (*KNEES, size.max()):
        few = size <= knee
        scaled = np.stack([1 / cycles[few], size[few] / cycles[few]], axis=1)
        (start, slope), *_ = np.linalg.lstsq(scaled, np.ones(few.sum()), rcond=None)
        most = np.median((size / cycles)[size > KNEES[-1]]) if knee in KNEES else np.inf
        errors = np.abs(np.maximum(start + size * slope, size / most) / cycles - 1)
        fits.append((float(errors.max()), float(np.median(errors)), float(start), float(1 / slope), float(most)))
    worst, error, start, rate, most = min(fits)
    return start, rate, most, error, worst


def report(found: Mapping[str, list]) -> list[str]:
    """Every fit, as lines."""
    lines = [str(issue(found))]
    lines += [str(fit) for name, prefixes in CLASSES.items() if (fit := of_class(name, prefixes, found))]
    for table in ("GM_TO_UB_910b1", "GM_TO_UB_910b3", "UB_TO_GM_910b1", "UB_TO_UB_910b1"):
        if table in found:
            start, rate, most, error, worst = copies(found, table)
            lines.append(
                f"{table}: {start:.0f} cycles and {rate:.0f} B/cycle beyond them, at most {most:.1f} B/cycle; "
                f"error {error:.1%}, worst {worst:.1%}"
            )
    return lines
