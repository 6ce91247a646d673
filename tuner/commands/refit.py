"""``python -m tuner refit [FOLDER]``: the model's constants, fitted to what others published."""

import argparse
import json
import sys
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "refit",
        help="the model's constants from published tables and times",
        description="Fits the constants of cold_kernels/ascend/chips.py to published device times of kernels, and, "
        "where a folder is given, to Huawei msKPP's measured instruction tables; leaves one kernel out at a time and "
        "predicts it. Prints constants in the form of chips.py. A quarter of an hour.",
    )
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="msKPP's tables as JSON files")
    parser.add_argument("--json", action="store_true", help="one JSON object; keys: tuner/calibration/published.py")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command.

    Raises:
        ValueError: the folder has no tables.
    """
    from cold_kernels.fidelity.published import ROWS

    from ..calibration.instruction_tables import report, tables
    from ..calibration.published import recorded, refit, summary, text

    lines = report(tables(arguments.folder)) if arguments.folder else []

    def tell(step: str) -> None:
        print(step, file=sys.stderr)

    times = recorded(ROWS, tell)
    found = refit(times, tell)
    if arguments.json:
        print(json.dumps(summary(found, times) | {"tables": lines}, indent=1))
    else:
        print("\n".join([*lines, "", text(found, times)]))
