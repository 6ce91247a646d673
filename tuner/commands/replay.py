"""``python -m tuner replay``: a search on a recorded space, with no compiler."""

import argparse
import json
from pathlib import Path

from cold_kernels.command import DONE, FAILED


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "replay",
        help="run a search on a recorded space, with no compiler",
        description="Prints what a search would have found on a recorded space, and when. The file is of python -m "
        "tuner exhaust, a cache of Kernel Tuner, or T4 results (JSON, compressed or not).",
    )
    parser.add_argument("space", type=Path, metavar="FILE", help="the recorded space")
    parser.add_argument("--sampler", metavar="NAME", help="as for autotune; default: its default")
    parser.add_argument("--seed", type=int, default=0, help="of the search; default: 0")
    parser.add_argument("--trials", type=int, metavar="N", help="default: 48, or a tenth of the space if that is more")
    parser.add_argument("--json", action="store_true", help="print one JSON object; its keys: docs/search_quality.md")
    parser.set_defaults(run=run, needs=("optuna", "rich", "torch"))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; 0, or 1 if nothing was found that can be used."""
    import optuna

    from ..replay.loading import load_space
    from ..replay.replayed import budget, replay
    from ..replay.showing import as_json, in_lines, stale
    from ..search.sampler import DEFAULT

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(arguments.space).checked()
    trials = budget(space) if arguments.trials is None else arguments.trials
    if trials < 1:
        raise ValueError(f"--trials {trials}: must be 1 or more")
    sampler = arguments.sampler or DEFAULT
    found = replay(space, sampler, arguments.seed, trials)
    said = stale(space)
    if arguments.json:
        print(json.dumps(as_json(found, sampler, arguments.seed, said), indent=1))
    else:
        print(in_lines(found, sampler, arguments.seed, said))
    return DONE if found.steps() else FAILED
