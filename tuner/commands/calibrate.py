"""``python -m tuner calibrate FILE``: a chip file out of what ``python -m tuner device`` measured."""

import argparse
import json
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "calibrate",
        help="a chip file out of a device's times",
        description="Fits the chip's uncertain constants to the micro-benchmarks of python -m tuner device, writes a "
        "chip file, and prints how well simulated times put the measured configurations in order, before and after.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what python -m tuner device has written")
    parser.add_argument("--out", type=Path, metavar="CHIP.json", help="default: FILE with .chip.json at its end")
    parser.add_argument("--chip", help="what the device is, where its own name is none that is known")
    parser.add_argument("--json", action="store_true", help="one JSON object; keys: tuner/calibration/calibrate.py")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from cold_kernels.ascend.machine import ascend_machine

    from ..calibration.calibrate import calibrated, text

    found = calibrated(arguments.file, arguments.out, arguments.chip, ascend_machine)
    print(json.dumps(found, indent=1) if arguments.json else text(found))
