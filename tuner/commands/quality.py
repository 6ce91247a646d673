"""``python -m tuner quality``: how often the search finds the optimum of recorded spaces, beside other searches."""

import argparse
import json
import os
from pathlib import Path

from cold_kernels.command import DONE, FAILED

SPACES = Path(__file__).parents[2] / "tests/tuner/spaces"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "quality",
        help="how often a search finds the optimum, beside other searches",
        description="Replays searches on recorded spaces and prints which share of the seeds is within 2 % of the "
        "optimum after 48 evaluations or a tenth of the space, beside random search, plain Optuna and two strategies "
        "of Kernel Tuner. Nothing is compiled. Kernel Tuner runs where its package kernel_tuner is installed here, or "
        "in the Python that the environment variable COLD_KERNELS_KERNEL_TUNER names. Exit code 1 if a goal is "
        "missed.",
    )
    parser.add_argument(
        "spaces",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="recorded spaces; default: those of this repository",
    )
    parser.add_argument("--sampler", metavar="NAME", help="of this search, as for autotune; default: its default")
    parser.add_argument("--seeds", type=int, metavar="N", help="searches on each space; default: 100")
    parser.add_argument(
        "--jobs", type=int, metavar="N",
        help=f"processes; default: one for each CPU, here {len(os.sched_getaffinity(0))}",
    )  # fmt: skip
    parser.add_argument("--from", type=Path, dest="kept", metavar="FILE.json", help="show what --json printed before")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print one JSON object; its keys: docs/search_quality.md")
    shown.add_argument("--markdown", action="store_true", help="a Markdown table for a page")
    parser.set_defaults(run=run, needs=("optuna", "rich", "torch"))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if a goal is missed."""
    from ..replay.quality import in_lines

    if arguments.kept:
        if arguments.spaces or arguments.sampler or arguments.seeds:
            raise ValueError("--from shows what was found before; it takes no FILE, --sampler or --seeds")
        found = _kept(arguments.kept)
    else:
        found = _found(arguments)
    print(json.dumps(found, indent=1) if arguments.json else in_lines(found, arguments.markdown))
    missed = any(goal["missed"] for goal in found["goals"])
    return FAILED if missed and not arguments.kept else DONE


def _found(arguments: argparse.Namespace) -> dict:
    import multiprocessing
    import sys
    from concurrent.futures import ProcessPoolExecutor

    from ..replay.quality import SEEDS, quality
    from ..replay.rivals.kernel_tuner_runs import INSTALL, PYTHON, python_with_it
    from ..search.sampler import DEFAULT, check_sampler

    paths = arguments.spaces or sorted(SPACES.glob("*.json.gz"))
    if not paths:
        raise ValueError(f"there are no recorded spaces in {SPACES}; name files that python -m tuner exhaust wrote")
    sampler = arguments.sampler or DEFAULT
    check_sampler(sampler)
    seeds = SEEDS if arguments.seeds is None else arguments.seeds
    jobs = len(os.sched_getaffinity(0)) if arguments.jobs is None else arguments.jobs
    for name, number in (("--seeds", seeds), ("--jobs", jobs)):
        if number < 1:
            raise ValueError(f"{name} {number}: must be 1 or more")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    python = python_with_it()
    if python is None:
        say(f"Kernel Tuner is not compared: {INSTALL}, or name a Python that has it in {PYTHON}")
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as executor:
        return quality(paths, sampler, seeds, python, executor, say)


def _kept(path: Path) -> dict:
    """What ``--json`` printed into a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("within", "seeds", "sampler", "kernel_tuner", "spaces", "goals")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not what quality --json prints") from error
