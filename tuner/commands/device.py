"""``python -m tuner device``: five minutes on an NPU that make the simulator's constants known."""

import argparse
import functools
from pathlib import Path
from typing import Any

MINUTES = 5.0


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "device",
        help="measure an NPU, for python -m tuner calibrate, or a GPU",
        description="Times micro-benchmarks, the shipped kernels and configurations to be ranked on the current NPU, "
        "or where there is none on the GPU, each checked against float64 first, and writes one JSON file to send back. "
        "The same command goes on where the last one ended or crashed. Exit code 2 if there is neither.",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: device-<name>.json")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"begin nothing new after so long; default: {MINUTES:g}"
    )
    parser.add_argument("--studies", type=Path, metavar="DIR", help="where autotune keeps its trials; default: its own")
    parser.add_argument("--seed", type=int, default=0, help="of the random configurations")
    parser.add_argument(
        "--stand-in",
        type=int,
        metavar="SEED",
        help="no NPU: simulate one whose constants are drawn by SEED, to try this command and calibrate",
    )
    parser.set_defaults(run=run, goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from cold_kernels.command import CommandFailed
    from cold_kernels.tables import user_directory

    from ..calibration import results
    from ..calibration.gpu import Gpu
    from ..calibration.jobs import all_jobs
    from ..calibration.measure import DeviceLost, measure
    from ..calibration.npu import Npu, Unavailable
    from ..calibration.stand_in import StandIn

    if not arguments.minutes > 0:
        raise ValueError(f"--minutes {arguments.minutes:g} must be above 0")
    try:
        device = _present(Npu, Gpu) if arguments.stand_in is None else StandIn(arguments.stand_in)
    except Unavailable as error:
        raise ValueError(f"there is nothing to measure: {error}") from error
    path = arguments.out or Path(f"device-{device.name.replace(' ', '-')}.json")
    kept = results.begun(path, device)
    jobs = all_jobs(device.chip, arguments.studies or user_directory(), arguments.seed, device.backend)
    try:
        left = measure(jobs, device, kept, 60 * arguments.minutes, functools.partial(print, flush=True))
    except DeviceLost as error:
        raise CommandFailed(f"{error}; the same command goes on after it") from error
    timed = sum("us" in row for row in kept.rows.values())
    print(f"{path}: {timed} times ({device.evidence}), {len(kept.rows) - timed} failures, {left} not begun")
    print("the same command goes on" if left else "send it back, or: python -m tuner calibrate " + str(path))


def _present(npu: type, gpu: type) -> Any:
    """The NPU, or where there is none the GPU.

    Raises:
        Unavailable: there is neither; says what the NPU lacks.
    """
    from ..calibration.npu import Unavailable

    try:
        return npu()
    except Unavailable as lacking:
        try:
            return gpu()
        except Unavailable:
            raise lacking from None
