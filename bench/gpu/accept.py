"""``python -m bench accept-gpu``: what the installed upstream Triton makes of the kernels becomes what is accepted."""

import argparse

from cold_kernels.command import CommandFailed
from cold_kernels.specs import check_name
from tuner.gate.difference import difference

from ..exact import accepted
from ..history import checked_reason


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "accept-gpu",
        help="record what programs for GPUs take, with the reason",
        description="Compiles every kernel ahead of time for all GPU targets with the installed upstream Triton, and "
        "records registers, shared memory and occupancy where they changed. Needs no GPU.",
    )
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="compile these alone; default: all")
    parser.add_argument("--reason", required=True, help="what changed, and why that is right")
    parser.set_defaults(run=run, extra="gpu")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    checked_reason(arguments.reason)
    for name in arguments.kernels:
        check_name(name)
    from cold_kernels.gpu.compiled import upstream_problem

    if problem := upstream_problem():
        raise CommandFailed(problem)
    from .cases import ACCEPTED, ON_GPUS, Spills, cells, counted, release

    names = tuple(arguments.kernels) or ON_GPUS
    found: dict[str, dict] = {name: {} for name in names}
    try:
        for cell in cells(names):
            now = found[cell.spec.name][str(cell)] = counted(cell)
            before = accepted.read(release(), cell.spec.name, ACCEPTED).get(str(cell))
            if lines := difference(before, now):
                print(f"{cell.spec.name} on {cell}:\n{lines}")
    except Spills as problem:
        raise CommandFailed(f"nothing was accepted: {problem}") from problem
    changed = accepted.accept(release(), found, arguments.reason, ACCEPTED)
    for kernel, cases in changed.items():
        print(f"accepted {kernel} under {release()}: {cases} cases changed")
    if not changed:
        print(f"nothing differs under {release()}")
