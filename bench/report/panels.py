"""What a report shows: rooflines of the accepted cycles, their history, and the wall clock of the last run."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cold_kernels.ascend.chips import CHIPS, Chip, chip_named
from cold_kernels.ascend.host_clock import enqueue_us
from tuner.report.page import Section

from ..exact import accepted
from ..history import FOLDER, history
from ..layers import cases as layer_cases
from ..layers.goals import best_peer, enqueued_ratio, launched, ratios, schemes
from ..timing import wall_clock
from ..timing.wall_clock import Measured
from . import plots
from .plots import Point

MOST_GROUPS = 8
"""That a drawing tells apart by colour."""


def sections(folder: Path = FOLDER, results: Path = wall_clock.RESULTS) -> list[Section]:
    """The sections that have something to show, in order."""
    chips = [name for name in CHIPS if (folder / name).is_dir()]
    found = [rooflines(chip_named(name), folder) for name in chips]
    found += [accepted_cycles(name, folder) for name in chips]
    found += [beside_peers(folder / "grid")]
    found += [clock(device, folder, results) for device in wall_clock.devices(results)]
    return [section for section in found if section.rows]


def rooflines(chip: Chip, folder: Path) -> Section:
    """Each kernel's accepted cycles against the time that its bytes take at least."""
    found = points(chip, folder)
    by_kernel: dict[str, list[Point]] = {}
    for point in found:
        by_kernel.setdefault(point.kernel, []).append(point)
    rows = [
        (
            p.kernel, p.case, f"{p.us:.2f}", f"{p.floor_us:.2f}", f"{100 * p.share:.0f} %",
            p.facts["bytes moved over minimal"], p.facts["round trips"], sum(p.facts["drains"].values()),
            f"{p.facts['copies under 16 KB']} of {p.facts['copies']}", p.facts["configuration"],
        )
        for p in found
    ]  # fmt: skip
    return Section(
        f"Rooflines, {chip.name}",
        "Times are SIMULATED (HIVM level): device time from the start of the first program; the floor is that "
        "of the bytes that must move, at the bandwidth that all cores reach, "
        f"{chip.hbm_bytes_per_second / 1e12:.2f} TB/s in the model. All else is counted in the compiled programs.",
        lambda figure: plots.rooflines(figure, by_kernel, chip.hbm_bytes_per_second),
        4.2,
        ("kernel", "case", "us", "floor us", "of the roof", "bytes over minimal", "round trips", "drains",
         "copies under 16 KB", "configuration"),
        rows,
    )  # fmt: skip


def points(chip: Chip, folder: Path) -> list[Point]:
    """The accepted cases of a chip."""
    found = []
    for path in sorted((folder / chip.name).glob("*.json")):
        cases = accepted.read(chip.name, path.stem, folder)
        words = {case: dict(word.partition("=")[::2] for word in case.split()) for case in cases}
        for case, facts in cases.items():
            us = facts[accepted.CYCLES] / chip.frequency * 1e6
            floor = facts["minimal bytes"] / chip.hbm_bytes_per_second * 1e6
            found.append(Point(path.stem, case, _group(case, words), facts["minimal bytes"], us, floor, facts))
    return found


def _group(case: str, words: Mapping[str, Mapping[str, str]]) -> str:
    """The sizes by which a kernel's cases differ, without the first, their number of rows; of many the rank alone."""
    _, *dims = words[case]
    differ = [dim for dim in dims if dim.isupper() and len({each.get(dim) for each in words.values()}) > 1]
    if len({tuple(each.get(dim) for dim in differ) for each in words.values()}) > MOST_GROUPS and "R" in differ:
        differ = ["R"]
    return " ".join(f"{dim}={words[case][dim]}" for dim in differ)


def accepted_cycles(chip: str, folder: Path) -> Section:
    """Accepted cycles of each kernel over time, relative to the first ones of each case."""
    entries = [entry for entry in history(folder) if entry.get("chip") == chip]
    first: dict[tuple[str, str], float] = {}
    now: dict[tuple[str, str], float] = {}
    lines: dict[str, list[float]] = {}
    rows = []
    for number, entry in enumerate(entries):
        for kernel, cases in entry["cycles"].items():
            for case, cycles in cases.items():
                if cycles is None:
                    now.pop((kernel, case), None)
                else:
                    first.setdefault((kernel, case), cycles)
                    now[kernel, case] = cycles
        for kernel in dict.fromkeys(kernel for kernel, _ in now):
            ratios = [now[key] / first[key] for key in now if key[0] == kernel]
            lines.setdefault(kernel, [math.nan] * number).append(statistics.geometric_mean(ratios))
        changed = ", ".join(f"{kernel}: {len(cases)}" for kernel, cases in entry["cycles"].items())
        rows.append((number + 1, entry["date"], entry["reason"], changed))
    return Section(
        f"History of accepted cycles, {chip}",
        "SIMULATED cycles, geometric mean over a kernel's cases, each relative to the first that was accepted for it.",
        lambda figure: plots.accepted_cycles(figure, lines, [entry["date"] for entry in entries]),
        3.2,
        ("number", "date", "reason", "cases that changed"),
        rows,
    )


def beside_peers(folder: Path) -> Section:
    """The LoRA of whole layers, ours beside the fastest of the peers' schemes."""
    grid = set(layer_cases.grid())
    kept = replace(layer_cases.LAYERS, folder=folder).latest()
    found = {cell: each for cell, each in kept.items() if cell in grid}
    enqueue = enqueue_us()
    points: dict[int, list[tuple[int, float]]] = {}
    rows = []
    names = list(dict.fromkeys(name for each in found.values() for name in schemes(each)))
    for cell, each in sorted(found.items(), key=lambda item: (item[0].rank, item[0].batch.rows, str(item[0]))):
        nominal, *plausible = ratios(each)
        points.setdefault(cell.rank, []).append((cell.batch.rows, nominal))
        wins = f"{sum(ratio > 1 for ratio in plausible)}/{len(plausible)}"
        launches = (len(launched(each[name])) if name in each else "-" for name in names)
        enqueued = f"{enqueued_ratio(each, enqueue):.2f}"
        rows.append((str(cell), best_peer(each), f"{nominal:.2f}", wins, enqueued, *launches))
    return Section(
        "LoRA of a layer beside the peers' schemes",
        "SIMULATED (HIVM level): time of the fastest peer's scheme over ours, in device time and with host enqueue; "
        "launches are counted. The picture is for device time; above 1, ours is faster.",
        lambda figure: plots.beside_peers(figure, points),
        3.2,
        ("layer", "fastest peer, device time", "x, device time", "wins, device time", "x, with host enqueue",
         *(f"launches, {name}" for name in names)),
        rows,
    )  # fmt: skip


def clock(device: str, folder: Path, results: Path) -> Section:
    """The last times of a device's benchmarks, each over its reference."""
    now, before = wall_clock.read(device, results), wall_clock.read(device, folder / "wall_clock")
    kinds: dict[str, list[tuple[float, float | None]]] = {}
    rows = []
    for name, measured in now.items():
        ratio = statistics.median(measured.ratios)
        then = statistics.median(before[name].ratios) if name in before else None
        kinds.setdefault(name.partition("[")[0], []).append((ratio, then))
        others = ", ".join(f"{other} {value * 1e6:.1f}" for other, value in measured.others.items())
        rows.append(
            (name, f"{measured.seconds * 1e6:.1f}", others, f"{ratio:.3g}", *_compared(before.get(name), measured))
        )
    return Section(
        f"Wall clock, {device}",
        "MEASURED on this machine, each benchmark's last run: ours over the reference that took turns with it, "
        "medians.",
        lambda figure: plots.clock(figure, kinds),
        1.2 + 0.35 * len(kinds),
        ("benchmark", "us", "others' us", "ratio", "accepted ratio", "change"),
        rows,
    )


def _compared(before: Measured | None, now: Measured) -> tuple[str, str]:
    if before is None or before.reference != now.reference:
        return "-", "not accepted yet"
    return f"{statistics.median(before.ratios):.3g}", str(wall_clock.change(before, now))
