"""``python -m tuner mutants``: breaks compiled programs in one place each, and counts what the hazards find of it."""

import argparse
import json

from cold_kernels.command import DONE, FAILED
from cold_kernels.specs import KERNELS, check_name

ORDERS, MOST = 24, 60


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "mutants",
        help="how many broken programs the hazards find",
        description="Removes flags and barriers from compiled programs, moves and swaps buffers and events, and looks "
        "for hazards in each. Whether such a mutant is wrong is judged by running its pipes in random orders. Exit "
        "code 0 if at least 95% of the wrong ones are found and no unbroken program is reported, else 1.",
    )
    parser.add_argument(
        "kernels",
        nargs="*",
        metavar="KERNEL",
        help=f"{', '.join(KERNELS)}, FILE.py:SPEC, or gallery (of a checkout); by default all of ours and the gallery",
    )
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"random orders a mutant; by default {ORDERS}")
    parser.add_argument(
        "--most", type=int, default=MOST, help=f"mutants a program, always the same ones; by default {MOST}, 0: all"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; keys: tuner/robustness/mutants.py")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 if the goal is met, else 1."""
    from ..robustness.mutants import GOAL, has_gallery, judged, launches, text

    names = arguments.kernels or [*KERNELS, *(["gallery"] if has_gallery() else [])]
    for name in names:
        if name != "gallery":
            check_name(name)
        elif not has_gallery():
            raise ValueError("the gallery is in tests/gallery of a checkout: run this from its folder")
    if arguments.orders < 1:
        raise ValueError(f"--orders is {arguments.orders}; it must be 1 or more")
    if arguments.most < 0:
        raise ValueError(f"--most is {arguments.most}; it must be 1 or more, or 0 for all")
    found = judged(launches(names), arguments.orders, arguments.most, progress=not arguments.json)
    print(json.dumps(found, indent=2) if arguments.json else text(found))
    return DONE if found["score"] >= GOAL and not found["false_alarms"] else FAILED
