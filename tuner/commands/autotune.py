"""``python -m tuner autotune``: finds configurations with no device and writes them to tables."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.gpu.targets import TARGETS
from cold_kernels.specs import KERNELS, check_name, load

TRIALS = 64
QUICK_TRIALS = 12
"""Trials of a quick look."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "autotune",
        help="find configurations for a chip that need not be there",
        description="Compiles, checks and times configurations on a simulated chip; writes the best to a "
        "table. The same command again goes on where the last one stopped.",
    )
    parser.add_argument(
        "kernels", nargs="*", metavar="KERNEL", help=f"{', '.join(KERNELS)}, or FILE.py:SPEC; default: all"
    )
    parser.add_argument(
        "--chip",
        default=DEFAULT_CHIP,
        help=f"default: {DEFAULT_CHIP}; with upstream Triton also {', '.join(TARGETS)}, where times are modelled",
    )
    parser.add_argument(
        "--shape", action="append", metavar="K=V,...", help="instead of the kernel's targets; repeatable"
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help=f"per group of shapes, besides what tables have for it; default: {TRIALS}",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a first look in minutes, {QUICK_TRIALS} trials each: of each kernel the first target alone where tables "
        "have its group, which stays but for what is found to be faster; else the first group of targets",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="trials at a time, each in a process; default: one for each CPU, here "
        f"{len(os.sched_getaffinity(0))}; the same seed finds the same with any number",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the search; default: 0")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: where launches look first")
    parser.set_defaults(run=run, needs=("torch",), goes_on="the same command goes on")


def run_for_gpu(arguments: argparse.Namespace) -> int:
    """Runs the command for a GPU that is not there; 0, or 1 if a group has no working configuration."""
    from cold_kernels.tables import user_directory

    from ..gpu.autotune import tune

    trials = arguments.trials
    if trials is None:
        trials = QUICK_TRIALS if arguments.quick else TRIALS
    if trials < 1:
        raise ValueError(f"--trials {trials}: must be 1 or more")
    for name in arguments.kernels:
        check_name(name)
    output = arguments.output or user_directory()
    return tune(arguments.kernels, TARGETS[arguments.chip], arguments.shape, trials, arguments.quick, output)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if a group has no working configuration."""
    if arguments.chip in TARGETS:
        return run_for_gpu(arguments)
    import optuna

    from cold_kernels.ascend.chips import chip_named
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.cases import Case
    from cold_kernels.tables import user_directory

    from ..search.session import groups_of, pool_for, searches_for, tune

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    output = arguments.output or user_directory()
    names = list(dict.fromkeys(arguments.kernels)) or list(KERNELS)
    trials = arguments.trials
    jobs = len(os.sched_getaffinity(0)) if arguments.jobs is None else arguments.jobs

    def trials_of(group) -> int:
        if trials is not None:
            return trials
        return QUICK_TRIALS if arguments.quick else TRIALS

    def first_target(group) -> tuple[Case, ...]:
        return group.cases if arguments.shape else (Case.parse(group.spec.targets[0], group.spec),)

    judged = first_target if arguments.quick else None
    with ExitStack() as held:
        if trials is not None and trials < 1:
            raise ValueError(f"--trials {trials}: must be 1 or more")
        if jobs < 1:
            raise ValueError(f"--jobs {jobs}: must be 1 or more")
        chip_named(arguments.chip)
        for name in names:
            check_name(name)
        machine = ascend_machine(arguments.chip)
        kernels = {}
        for name in names:
            kernels.setdefault(load(name), name)
        found = [groups_of(spec, arguments.shape, machine.chip.vector_cores) for spec in kernels]
        if arguments.quick and not arguments.shape:
            found = [groups[:1] for groups in found]
        searches = searches_for(sum(found, []), machine, output, arguments.seed, judged, held)
        pool = pool_for(searches, machine, ascend_machine, arguments.chip, kernels, jobs)
        return tune(searches, machine, pool, trials_of, output)
