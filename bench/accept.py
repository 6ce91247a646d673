"""``python -m bench accept``: what is counted, or was timed last, becomes what the next run is compared with."""

import argparse

from cold_kernels.command import CommandFailed
from cold_kernels.specs import KERNELS, check_name

from .exact import accepted
from .history import checked_reason
from .timing import wall_clock


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


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    checked_reason(arguments.reason)
    if arguments.wall_clock and arguments.kernels:
        raise ValueError(f"--wall-clock takes no kernels: {', '.join(arguments.kernels)}")
    if arguments.wall_clock:
        _accept_times(arguments.reason)
    else:
        for name in arguments.kernels:
            check_name(name)
        _accept_facts(arguments.kernels, arguments.reason)


def _accept_times(reason: str) -> None:
    found = wall_clock.accept(reason)
    if not found:
        raise CommandFailed("no times to accept; run `pytest bench/` first")
    for device, count in found.items():
        print(f"accepted {count} times on {device}")


def _accept_facts(kernels: list[str], reason: str) -> None:
    from cold_kernels.ascend.errors import AscendError
    from cold_kernels.tables import shipped_chips
    from tuner.gate.cells import WrongResult, counted
    from tuner.gate.difference import difference

    from .exact.cases import cells

    for chip in shipped_chips():
        found: dict[str, dict] = {name: {} for name in kernels or KERNELS}
        try:
            for cell in cells(chip, kernels):
                now = found[cell.spec.name][str(cell.case)] = counted(cell)
                before = accepted.read(chip, cell.spec.name).get(str(cell.case))
                if lines := difference(before, now):
                    print(f"{cell} on {chip}:\n{lines}")
        except (AscendError, WrongResult) as error:
            raise CommandFailed(f"nothing was accepted: {error}") from error
        changed = accepted.accept(chip, found, reason)
        for kernel, cases in changed.items():
            print(f"accepted {kernel} on {chip}: {cases} cases changed")
        if not changed:
            print(f"nothing differs on {chip}")
