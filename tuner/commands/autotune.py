"""``python -m tuner autotune``: finds configurations with no device and writes them to tables."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.specs import KERNELS, check_name, load

from ..search.limits import SECONDS, SHARE, Limits

TRIALS = 64
SMALL = 96
"""Unless told otherwise, so few legal configurations are all tried: a search for `TRIALS` saves little there."""
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
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument(
        "--shape", action="append", metavar="K=V,...", help="instead of the kernel's targets; repeatable"
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help=f"per group of shapes, besides what tables have for it; default: {TRIALS}, or all if there are at most "
        f"{SMALL}",
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
    parser.add_argument(
        "--trial-seconds", type=float, metavar="S",
        help=f"a trial that takes longer is given up, and the search goes on; default: {SECONDS:g}",
    )  # fmt: skip
    parser.add_argument(
        "--trial-memory", type=float, metavar="GIB",
        help=f"so is one that takes more memory; default: {100 * SHARE:g} %% of the machine's, divided by --jobs",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the search; default: 0")
    parser.add_argument(
        "--sampler", metavar="NAME", help="what proposes configurations: model, the default, learns from every trial; "
        "tpe, gp, nsga2, cmaes and qmc are Optuna's, beside neighbours of the best; random learns nothing",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: the spec's own folder of tables, else where launches look first",
    )
    parser.add_argument(
        "--storage", metavar="URL",
        help="keep trials in a database (postgresql://user@host/name) or in a journal file that other machines and "
        "processes work on too, with this command or `worker`; default: a journal beside the table, for one alone",
    )  # fmt: skip
    parser.set_defaults(run=run, needs=("optuna", "rich", "torch"), goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if a group has no working configuration."""
    import optuna

    from cold_kernels.ascend.chips import chip_named
    from cold_kernels.ascend.machine import ascend_machine
    from cold_kernels.cases import Case
    from cold_kernels.tables import user_directory

    from ..search.sampler import DEFAULT, check_sampler
    from ..search.session import groups_of, pool_for, searches_for, tune
    from ..search.shared import open_shared

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = list(dict.fromkeys(arguments.kernels)) or list(KERNELS)
    trials = arguments.trials
    jobs = len(os.sched_getaffinity(0)) if arguments.jobs is None else arguments.jobs

    def trials_of(group) -> int:
        if trials is not None:
            return trials
        if arguments.quick:
            return QUICK_TRIALS
        return len(group.legal) if len(group.legal) <= SMALL else TRIALS

    def first_target(group) -> tuple[Case, ...]:
        return group.cases if arguments.shape else (Case.parse(group.spec.targets[0], group.spec),)

    # What is judged beside a table is for whoever has that table; others could not join.
    judged = first_target if arguments.quick and not arguments.storage else None
    with ExitStack() as held:
        if trials is not None and trials < 1:
            raise ValueError(f"--trials {trials}: must be 1 or more")
        if jobs < 1:
            raise ValueError(f"--jobs {jobs}: must be 1 or more")
        sampler = arguments.sampler or DEFAULT
        check_sampler(sampler)
        limits = Limits.of(arguments.trial_seconds, arguments.trial_memory, jobs)
        chip_named(arguments.chip)
        for name in names:
            check_name(name)
        machine = ascend_machine(arguments.chip)
        kernels = {}
        for name in names:
            kernels.setdefault(load(name), name)
        own = {spec.tables or user_directory() for spec in kernels}
        if arguments.output is None and len(own) > 1:
            raise ValueError(
                "these kernels keep their tables in different folders; tune them one by one, or give --output"
            )
        output = arguments.output or own.pop()
        found = [groups_of(spec, arguments.shape, machine.chip.vector_cores) for spec in kernels]
        if arguments.quick and not arguments.shape:
            found = [groups[:1] for groups in found]
        shared = held.enter_context(open_shared(arguments.storage)) if arguments.storage else None
        searches = searches_for(sum(found, []), machine, output, arguments.seed, judged, held, sampler, shared)
        for spec in kernels:
            if spec.against != "float64":
                print(f"{spec.name}: values are compared with {spec.against}, and not with float64")
        pool = pool_for(searches, ascend_machine, arguments.chip, kernels, jobs, limits)
        return tune(searches, machine, pool, trials_of, output)
