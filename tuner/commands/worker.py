"""``python -m tuner worker``: lends this machine to searches that others began."""

import argparse
import os

from cold_kernels.specs import KERNELS, check_name, load

from ..search.limits import SECONDS, SHARE, Limits


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "worker",
        help="work on searches that autotune began on a shared storage",
        description="Takes trials of the studies on a storage that `autotune --storage` filled, until none is left. "
        "One that dies costs nothing: others take its trials over.",
    )
    parser.add_argument("kernels", nargs="*", metavar="FILE.py:SPEC", help="kernels that are not this project's own")
    parser.add_argument("--storage", required=True, metavar="URL", help="as autotune was given it")
    parser.add_argument("--study", metavar="NAME", help="only this one, as `watch` calls it; default: all")
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help=f"trials at a time; default: one for each CPU, here {len(os.sched_getaffinity(0))}",
    )  # fmt: skip
    parser.add_argument("--trial-seconds", type=float, metavar="S", help=f"as for autotune; default: {SECONDS:g}")
    parser.add_argument(
        "--trial-memory", type=float, metavar="GIB",
        help=f"as for autotune; default: {100 * SHARE:g} %% of the machine's, divided by --jobs",
    )  # fmt: skip
    parser.set_defaults(run=run, needs=("optuna", "rich", "torch"), goes_on="others take over what ran here")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0 when nothing is left to do."""
    import optuna

    from cold_kernels.ascend.machine import ascend_machine

    from ..search.display import Report
    from ..search.joining import joined, standings
    from ..search.shared import open_shared
    from ..search.work import lend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    jobs = len(os.sched_getaffinity(0)) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise ValueError(f"--jobs {jobs}: must be 1 or more")
    limits = Limits.of(arguments.trial_seconds, arguments.trial_memory, jobs)
    for name in arguments.kernels:
        check_name(name)
    own = {load(name): name for name in arguments.kernels}
    known = {load(name): name for name in KERNELS} | own
    by_name = {spec.name: spec for spec in known}
    report = Report()
    with open_shared(arguments.storage) as shared:
        done = 0
        while True:
            found = [each for each in standings(shared, arguments.study) if each.open]
            if not found:
                break
            searches = [joined(shared, each, by_name, ascend_machine) for each in found]
            done += lend(searches, known, ascend_machine, jobs, limits, report)
        report.say(f"nothing is left to do on {shared.name}; {done} trials were done here")
    return 0
