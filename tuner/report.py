"""``python -m tuner report``: what has been tuned, from the tables that launches read."""

import argparse
import sys
from pathlib import Path

from .registry import DEFAULT_CHIP, FAILED, INSTALL, KERNELS, WRONG_INPUT, check_name, load


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
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="read this folder and no other")
    parser.add_argument("--markdown", action="store_true", help="a Markdown table, for a page")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, 1 if something is not installed, 2 for an unknown kernel or chip."""
    try:
        return _run(arguments)
    except ImportError as error:
        print(f"report: {error}; {INSTALL}", file=sys.stderr)
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    from cold_kernels import tables
    from cold_kernels.ascend.chips import chip_named

    from .display import HEADER, Report, cells, heading

    try:
        chip_named(arguments.chip)
        for name in arguments.kernels:
            check_name(name)
        specs = [load(name) for name in arguments.kernels or KERNELS]
    except ValueError as error:
        print(f"report: {error}", file=sys.stderr)
        return WRONG_INPUT
    folders = [arguments.tables] if arguments.tables else None
    rows, configs, places = [], [], []
    for spec in specs:
        seen: set[tuple] = set()
        for table, path in tables.read(spec, arguments.chip, folders and tuple(folders)):
            # A launch reads a whole group from the first table that has it.
            entries = [entry for entry in table.entries if tables.group_of(spec, entry.shape) not in seen]
            hidden = len(table.entries) - len(entries)
            places.append(f"{path}" + (f"; {hidden} of its entries not, as their groups are above" * bool(hidden)))
            seen |= {tables.group_of(spec, entry.shape) for entry in entries}
            rows += [cells(spec.name, entry) for entry in entries]
            configs += [f"{spec.name} {entry.shape}: {entry.config} ({entry.evidence})" for entry in entries]
    if arguments.markdown:
        print(markdown(heading(arguments.chip), HEADER, rows))
        return 0
    report = Report()
    if not rows:
        report.say(f"nothing is tuned for {arguments.chip} yet: python -m tuner autotune --chip {arguments.chip}")
        return 0
    report.say(heading(arguments.chip))
    report.table(rows)
    for line in (*configs, *(f"read {place}" for place in places)):
        report.say(line)
    return 0


def markdown(title: str, header: tuple[str, ...], rows: list[list[str]]) -> str:
    """A table with its title above it, columns padded so that the source can be read too."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [[name.ljust(width) for name, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])
