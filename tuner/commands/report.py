"""``python -m tuner report``: what has been tuned, from the tables that launches read; and how a search went."""

import argparse
import json
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.specs import KERNELS, check_name, load


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "report",
        help="what has been tuned so far",
        description="Prints what launches read from tables, with the evidence behind every configuration. With --html, "
        "--png or --t4 it reports on searches instead: of a journal, of a database, or of a kernel's journal.",
    )
    parser.add_argument(
        "kernels", nargs="*", metavar="KERNEL|STUDY",
        help=f"{', '.join(KERNELS)}, or FILE.py:SPEC; default: all. Of searches: FILE.journal, the URL of a "
        "database, or a kernel, whose journal is beside its tables",
    )  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="how searches went, as one page with all in it")
    parser.add_argument("--png", type=Path, metavar="FILE.png", help="the same as one picture")
    parser.add_argument("--t4", type=Path, metavar="FILE.json", help="their trials in T4, which other tuners read")
    parser.add_argument("--study", metavar="TEXT", help="of searches: only those whose name contains this")
    parser.add_argument("--spec", metavar="FILE.py:SPEC", help="of searches: the kernel, for floors and timelines")
    parser.add_argument("--no-timelines", action="store_true", help="of searches: simulate nothing")
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
        "--json",
        action="store_true",
        help="with --fragile: one JSON object; its keys are listed in tuner/robustness/fragile.py",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from cold_kernels import tables
    from cold_kernels.ascend.chips import chip_named

    if arguments.html or arguments.png or arguments.t4:
        from ..report.written import write_reports

        for line in write_reports(arguments):
            print(line)
        return
    chip = arguments.chip or DEFAULT_CHIP
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
        _fragile(specs, arguments.chip, folder, arguments.json)
        return
    from ..search.tuned_tables import refresh, show

    if arguments.refresh:
        refresh(specs, chip, folder)
    else:
        show(specs, chip, arguments.tables, arguments.markdown)


def _fragile(specs: list, chip: str | None, folder: Path, as_json: bool) -> None:
    from cold_kernels.ascend.machine import ascend_machine

    from ..robustness.fragile import fragile, text

    chips = [chip] if chip else sorted(path.name for path in folder.iterdir() if path.is_dir())
    found = fragile(specs, chips, ascend_machine, folder)
    print(json.dumps(found, indent=1) if as_json else text(found))
