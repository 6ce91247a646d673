"""``python -m bench accept``: what is counted, or was timed last, becomes what the next run is compared with."""

import argparse
import sys

from ..history import checked_reason
from ..timing import wall_clock
from . import accepted as baseline

DONE, FAILED, WRONG_INPUT = 0, 1, 2
"""Exit codes."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "accept",
        help="record new facts or times, with the reason",
        description="Counts every kernel anew and records what changed, with the reason and the date. With "
        "--wall-clock, records the last times of each benchmark instead, on every device that has some.",
    )
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="count these alone; default: all")
    parser.add_argument("--reason", required=True, help="what changed, and why that is right")
    parser.add_argument("--wall-clock", action="store_true", help="the last times instead of the facts")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, 1 if something is missing or a result is wrong, 2 for bad input."""
    try:
        checked_reason(arguments.reason)
        if arguments.wall_clock and arguments.kernels:
            raise ValueError(f"--wall-clock takes no kernels: {', '.join(arguments.kernels)}")
        return _times(arguments.reason) if arguments.wall_clock else _facts(arguments.kernels, arguments.reason)
    except ValueError as error:
        print(f"accept: {error}", file=sys.stderr)
        return WRONG_INPUT


def _times(reason: str) -> int:
    accepted = wall_clock.accept(reason)
    for device, count in accepted.items():
        print(f"accepted {count} times on {device}")
    if not accepted:
        print("accept: no times to accept; run `pytest bench/` first", file=sys.stderr)
    return DONE if accepted else FAILED


def _facts(kernels: list[str], reason: str) -> int:
    from cold_kernels.specs import INSTALL, KERNELS

    if unknown := [name for name in kernels if name not in KERNELS]:
        raise ValueError(f"unknown kernel {', '.join(unknown)}; use {', '.join(KERNELS)}")
    try:
        from cold_kernels.ascend.errors import AscendError

        from ..layers.cases import CHIPS
        from .cases import WrongResult, cells, counted
    except ImportError as error:
        print(f"accept: {error}; {INSTALL}", file=sys.stderr)
        return FAILED
    for chip in CHIPS:
        found: dict[str, dict] = {name: {} for name in kernels or KERNELS}
        try:
            for cell in cells(chip, kernels):
                now = found[cell.spec.name][str(cell.case)] = counted(cell)
                before = baseline.read(chip, cell.spec.name).get(str(cell.case))
                if lines := baseline.difference(before, now):
                    print(f"{cell} on {chip}:\n{lines}")
        except (AscendError, WrongResult) as error:
            print(f"accept: nothing was accepted: {error}", file=sys.stderr)
            return FAILED
        changed = baseline.accept(chip, found, reason)
        for kernel, cases in changed.items():
            print(f"accepted {kernel} on {chip}: {cases} cases changed")
        if not changed:
            print(f"nothing differs on {chip}")
    return DONE
