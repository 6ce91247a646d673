"""``python -m tuner report``: what has been tuned, from the tables that launches read."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cold_kernels.specs import DEFAULT_CHIP, FAILED, INSTALL, KERNELS, WRONG_INPUT, check_name, load

if TYPE_CHECKING:
    from cold_kernels.spec import KernelSpec
    from cold_kernels.tables import Entry


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "report",
        help="what has been tuned so far",
        description="Prints what launches read from tables, with the evidence behind every configuration.",
    )
    parser.add_argument(
        "kernels", nargs="*", metavar="KERNEL", help=f"{', '.join(KERNELS)}, or FILE.py:SPEC; default: all"
    )
    parser.add_argument("--chip", help=f"default: {DEFAULT_CHIP}; with --fragile all that have a table")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="read this folder and no other")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--markdown",
        action="store_true",
        help="a Markdown table for a page, with ranges over the plausible chips; entries without are simulated anew",
    )
    what.add_argument(
        "--refresh",
        action="store_true",
        help="simulate every entry of the tables in --tables anew, and write its figures there; configurations stay",
    )
    what.add_argument(
        "--fragile",
        action="store_true",
        help="shipped entries that another configuration beats when global memory is half as fast, or a launch costs "
        "twice as much",
    )
    parser.add_argument(
        "--json", action="store_true", help="with --fragile: one JSON object; its keys are listed in tuner/fragile.py"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, 1 if something is not installed or does not compile, 2 for bad input."""
    try:
        return _run(arguments)
    except ImportError as error:
        print(f"report: {error}; {INSTALL}", file=sys.stderr)
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    from cold_kernels import tables
    from cold_kernels.ascend.chips import chip_named
    from cold_kernels.ascend.errors import AscendError

    chip = arguments.chip or DEFAULT_CHIP
    try:
        chip_named(chip)
        for name in arguments.kernels:
            check_name(name)
        if arguments.refresh and not arguments.tables:
            raise ValueError("--refresh writes into tables; say which by --tables DIR")
        if arguments.json and not arguments.fragile:
            raise ValueError("--json goes with --fragile")
        specs = [load(name) for name in arguments.kernels or KERNELS]
        folder = arguments.tables or tables.SHIPPED
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}")
        if arguments.fragile:
            return _fragile(specs, arguments.chip, folder, arguments.json)
        if arguments.refresh:
            return _refresh(specs, chip, folder)
        return _tuned(specs, chip, arguments.tables, arguments.markdown)
    except ValueError as error:
        print(f"report: {error}", file=sys.stderr)
        return WRONG_INPUT
    except AscendError as error:
        print(f"report: {error}", file=sys.stderr)
        return FAILED


def _tuned(specs: Iterable["KernelSpec"], chip: str, folder: Path | None, as_markdown: bool) -> int:
    from cold_kernels import tables

    from ..display import Report, cells, heading

    rows, configs, places = [], [], []
    for spec in specs:
        seen: set[tuple] = set()
        for table, path in tables.read(spec, chip, (folder,) if folder else None):
            # A launch reads a whole group from the first table that has it.
            entries = [entry for entry in table.entries if tables.group_of(spec, entry.shape) not in seen]
            hidden = len(table.entries) - len(entries)
            places.append(f"{path}" + (f"; {hidden} of its entries not, as their groups are above" * bool(hidden)))
            seen |= {tables.group_of(spec, entry.shape) for entry in entries}
            if as_markdown:
                rows += [ranged(spec.name, entry) for entry in with_ranges(spec, chip, entries)]
                continue
            rows += [cells(spec.name, entry) for entry in entries]
            configs += [f"{spec.name} {entry.shape}: {entry.config} ({entry.evidence})" for entry in entries]
    if as_markdown:
        print(markdown(heading(chip), RANGED, rows))
        return 0
    report = Report()
    if not rows:
        report.say(f"nothing is tuned for {chip} yet: python -m tuner autotune --chip {chip}")
        return 0
    report.say(heading(chip))
    report.table(rows)
    for line in (*configs, *(f"read {place}" for place in places)):
        report.say(line)
    return 0


def _fragile(specs: Sequence["KernelSpec"], chip: str | None, folder: Path, as_json: bool) -> int:
    from cold_kernels.ascend.machine import ascend_machine

    from ..robustness.fragile import fragile, text

    chips = [chip] if chip else sorted(path.name for path in folder.iterdir() if path.is_dir())
    found = fragile(specs, chips, ascend_machine, folder)
    print(json.dumps(found, indent=1) if as_json else text(found))
    return 0


def _refresh(specs: Iterable["KernelSpec"], chip: str, folder: Path) -> int:
    from cold_kernels import tables
    from cold_kernels.ascend.machine import ascend_machine

    for spec in specs:
        for table, _ in tables.read(spec, chip, (folder,)):
            if table.versions != dict(ascend_machine(chip).versions):
                raise ValueError(f"{spec.name} was tuned with {table.versions}; under other versions tune again")
            entries = tuple(retimed(spec, chip, table.entries))
            print(f"wrote {tables.write(folder, spec, replace(table, entries=entries))}")
    return 0


def with_ranges(spec: "KernelSpec", chip: str, entries: Sequence["Entry"]) -> list["Entry"]:
    """The entries as they are if their tables keep ranges over the plausible chips, else `retimed`."""
    if all("ranges" in entry.details for entry in entries):
        return list(entries)
    return retimed(spec, chip, entries)


def retimed(spec: "KernelSpec", chip: str, entries: Sequence["Entry"]) -> list["Entry"]:
    """The entries with the figures that the simulator gives them today, on the chip and on the plausible ones.

    Raises:
        ToolchainMissing: the compiler is not installed.
        AscendError: a configuration does not compile, or does what the simulator refuses.
    """
    from cold_kernels import tables
    from cold_kernels.ascend.machine import ascend_machine

    from ..robustness.fragile import case_of
    from ..search.evaluate import Evaluator
    from ..search.tasks import CHIPS
    from ..search.timed import scored, timed_on

    machine = ascend_machine(chip)
    evaluator, chips = Evaluator(spec, machine), machine.chip.plausible(CHIPS)
    found = []
    for entry in entries:
        group = [tables.group_of(spec, other.shape) == tables.group_of(spec, entry.shape) for other in entries]
        shapes = [case_of(spec, other).shape() for other, same in zip(entries, group, strict=True) if same]
        default, case = tables.default(spec, *shapes), case_of(spec, entry)
        mine = timed_on(evaluator, entry.config, case, chips)
        others = mine if entry.config == default else timed_on(evaluator, default, case, chips)
        row = scored(case, entry.config, mine, others, same=entry.config == default)
        found.append(replace(entry, details={**entry.details, **row.details()}))
    return found


RANGED = ("kernel", "shape", "default us", "best us", "gain", "wins", "worst regret", "x floor net", "bound")


def ranged(kernel: str, entry: "Entry") -> list[str]:
    """One row under `RANGED`: each figure from its least to its most on the plausible chips."""
    from ..display import cells

    row, ranges = cells(kernel, entry), entry.details["ranges"]
    columns = {"default us": "default_us", "best us": "best_us", "gain": "gain", "x floor net": "over_floor"}
    for column, name in columns.items():
        least, most = ranges.get(name, (None, None))
        form = "{:.2f} to {:.2f}" if name == "gain" else "{:.1f} to {:.1f}"
        row[RANGED.index(column)] = "-" if least is None else form.format(least, most)
    if row[RANGED.index("wins")] == "default":
        row[RANGED.index("gain")] = "-"
    return row


def markdown(title: str, header: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table with its title above it, columns padded so that the source can be read too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [[name.ljust(width) for name, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
