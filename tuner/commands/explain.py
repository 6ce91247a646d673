"""``python -m tuner explain``: whether a configuration is usable for a shape, and what stands against it."""

import argparse
import json

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.command import DONE, FAILED
from cold_kernels.specs import KERNELS


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "explain",
        help="whether a configuration is usable, and why not",
        description="Prints each constraint of a kernel's spec with its numbers for a configuration and a shape, and, "
        "where they all hold, what the compiler says. Exit code 0 if the configuration is usable, 1 if not.",
    )
    parser.add_argument("kernel", metavar="KERNEL", help=f"{', '.join(KERNELS)}, or FILE.py:SPEC")
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument("--shape", metavar='"K=V ..."', help="default: the spec's typical one")
    parser.add_argument(
        "--config", metavar='"K=V ..."', help="tunables; those not named are as a launch would choose them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object; docs/simulator.md has its keys")
    parser.set_defaults(run=run, needs=("rich", "torch"))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 if the configuration is usable, else 1."""
    from ..profile.explanation import explained, show

    try:
        found = explained(arguments.kernel, arguments.shape, arguments.config, arguments.chip)
    except TypeError as error:  # of the spec's own functions
        raise ValueError(error) from error
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    return DONE if found["usable"] else FAILED
