"""``python -m tuner device``: five minutes on an NPU that make the simulator's constants known."""

import argparse
import functools
import sys
from pathlib import Path

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""
MINUTES = 5.0


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "device",
        help="measure an NPU, for python -m tuner calibrate",
        description="Times micro-benchmarks, the shipped kernels and configurations to be ranked on the current NPU, "
        "each checked against float64 first, and writes one JSON file to send back. The same command goes on where "
        "the last one ended or crashed. Exit code 2 if there is no NPU.",
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, 1 if the device or the compiler goes away, 2 without an NPU or for bad input."""
    try:
        return _run(arguments)
    except ImportError as error:
        print(f'device: {error}; python -m pip install -e ".[ascend]"', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("device: stopped; the same command goes on", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    from cold_kernels.tables import user_directory

    from ..calibration.npu import Npu, Unavailable

    if not arguments.minutes > 0:
        print(f"device: --minutes {arguments.minutes:g} must be above 0", file=sys.stderr)
        return WRONG_INPUT
    try:
        device = Npu() if arguments.stand_in is None else _stand_in(arguments.stand_in)
    except Unavailable as error:
        print(f"device: there is nothing to measure: {error}", file=sys.stderr)
        return WRONG_INPUT
    from ..calibration import results
    from ..calibration.jobs import all_jobs
    from ..calibration.measure import DeviceLost, measure

    path = arguments.out or Path(f"device-{device.name.replace(' ', '-')}.json")
    try:
        kept = results.begun(path, device)
    except ValueError as error:
        print(f"device: {error}", file=sys.stderr)
        return WRONG_INPUT
    jobs = all_jobs(device.chip, arguments.studies or user_directory(), arguments.seed)
    try:
        left = measure(jobs, device, kept, 60 * arguments.minutes, functools.partial(print, flush=True))
    except DeviceLost as error:
        print(f"device: {error}; the same command goes on after it", file=sys.stderr)
        return FAILED
    timed = sum("us" in row for row in kept.rows.values())
    print(f"{path}: {timed} times ({device.evidence}), {len(kept.rows) - timed} failures, {left} not begun")
    print("the same command goes on" if left else "send it back, or: python -m tuner calibrate " + str(path))
    return DONE


def _stand_in(seed: int):
    from cold_kernels.ascend.errors import ToolchainMissing

    from ..calibration.npu import Unavailable
    from ..calibration.stand_in import StandIn

    try:
        return StandIn(seed)
    except ToolchainMissing as error:
        raise Unavailable(str(error)) from error
