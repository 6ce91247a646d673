"""``python -m tuner exhaust``: records the whole legal space of a kernel, once and for all."""

import argparse
import os
from pathlib import Path

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.specs import KERNELS


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "exhaust",
        help="record what becomes of every configuration of a kernel",
        description="Compiles, times and checks every legal configuration of a kernel for a shape, and records each "
        "with its outcome, its reason if it is rejected, and the seconds that it took. python -m tuner replay runs "
        "searches on the file with no compiler. The same command again goes on where the last one stopped.",
    )
    parser.add_argument("kernel", metavar="KERNEL", help=f"{', '.join(KERNELS)}, or FILE.py:SPEC")
    parser.add_argument("--chip", default=DEFAULT_CHIP, help=f"default: {DEFAULT_CHIP}")
    parser.add_argument(
        "--shape", action="append", metavar='"K=V ..."',
        help="default: the spec's typical one; repeatable, and then a configuration's value is the geometric mean",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json.gz", help="where it is recorded")
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help=f"configurations at a time; default: one for each CPU, here {len(os.sched_getaffinity(0))}",
    )  # fmt: skip
    parser.add_argument(
        "--fresh", action="store_true",
        help="compile all anew, so that the seconds are those of a first search; by default what was compiled before "
        "is read from the disk, and those seconds are recorded",
    )  # fmt: skip
    parser.set_defaults(run=run, needs=("optuna", "rich", "torch"), goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from cold_kernels.ascend.machine import ascend_machine

    from ..replay.exhausting import exhaust

    jobs = len(os.sched_getaffinity(0)) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise ValueError(f"--jobs {jobs}: must be 1 or more")
    if arguments.out.is_dir():
        raise ValueError(f"--out {arguments.out} is a folder; name a file in it")
    exhaust(arguments.kernel, arguments.shape, arguments.chip, ascend_machine, arguments.out, jobs, arguments.fresh)
