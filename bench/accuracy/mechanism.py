"""``python -m bench accuracy mechanism``: whether contrast helps where a base's prior opposes, mixes with or agrees
with an adapter's task, in models so small that it can be decided.
"""

import argparse
import gzip
import json
import math
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cold_kernels.command import FOUND
from cold_kernels.files import write_whole

from .mechanism_page import HARM, markdown

if TYPE_CHECKING:
    from .cell import Cell

FOLDER = Path(__file__).parent.parent / "results" / "accuracy" / "mechanism"
QUICK = dict(bases=2, adapters=1, problems=100, validation=50)
"""What ``--quick`` makes smaller."""
LIMITS = {
    "bases": (1, 50),
    "adapters": (1, 20),
    "problems": (10, 100_000),
    "validation": (10, 100_000),
    "seed": (0, 1 << 31),
}


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "mechanism",
        help="small models whose base opposes, mixes with or agrees with the adapter's task",
        description="Trains models of 0.86 million parameters on synthetic stories and LoRA adapters for them, decodes "
        "problems by greedy LoRA, CoLD, controls and rules that decide when to contrast, and prints a table for each "
        "regime. Results are on disk the moment they exist: the same command goes on after an interruption.",
    )
    parser.add_argument("--quick", action="store_true", help="a small study, some minutes of one thread")
    for name, words in {
        "bases": "bases of each regime; default: 5",
        "adapters": "adapters of each base; default: 3",
        "problems": "test problems of each adapter; default: 1000",
        "validation": "problems of each adapter on which settings are chosen; default: 300",
        "seed": "of everything; default: 0",
    }.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=words)
    parser.add_argument("--minutes", type=float, metavar="M", help="begin nothing after so many; default: no limit")
    parser.add_argument("--folder", type=Path, help="for models and results; default: bench/results/accuracy/mechanism")
    parser.add_argument("--out", type=Path, metavar="FILE.json.gz", help="write what the page is made from")
    parser.set_defaults(run=run, needs=("transformers", "peft"), extra="decode", goes_on="the same command goes on")


def run(arguments: argparse.Namespace) -> int | None:
    """Runs the command."""
    import torch

    from .cell import Cell, Settings
    from .stories import REGIMES

    chosen = QUICK if arguments.quick else {}
    for name, (least, most) in LIMITS.items():
        if (value := getattr(arguments, name)) is not None:
            if not least <= value <= most:
                raise ValueError(f"--{name} {value}: {least} to {most}")
            chosen = {**chosen, name: value}
    if arguments.minutes is not None and not arguments.minutes >= 0:
        raise ValueError(f"--minutes {arguments.minutes:g}: 0 or more")
    settings = Settings(**chosen)
    folder = (arguments.folder or FOLDER) / ("quick" if arguments.quick else "full")
    _claim(folder, settings.record)
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * (math.inf if arguments.minutes is None else arguments.minutes)
    cells = [Cell(settings, folder, regime, base) for base in range(settings.bases) for regime in REGIMES]
    rules = []
    for part in ("validation", "test"):
        for cell in cells:
            if time.monotonic() >= until:
                print(f"time is up before {cell}, {part}; the same command goes on")
                return FOUND
            for adapter in range(settings.adapters):
                cell.solved(part, adapter, _wanted(cell, part, adapter, rules))
            print(f"{part}: {cell}", file=sys.stderr, flush=True)
        rules = rules or choose(cells)
    study = {
        "settings": settings.record,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "rules": rules,
        "regimes": {regime: [_outcomes(cell, rules) for cell in cells if cell.regime == regime] for regime in REGIMES},
    }
    if arguments.out:
        write_whole(arguments.out, gzip.compress(json.dumps(study).encode(), mtime=0))
    print(markdown(study))
    return None


def choose(cells: Sequence["Cell"]) -> list[dict]:
    """Of each family of rules the setting for all tasks together, by validation problems.

    It is the one with the highest mean gain over greedy of those that lose at most `HARM` in each regime; or, where
    there is none, the one whose worst regime loses least.

    Returns:
        Of each family a dictionary: ``family``, ``rule``, and ``validation``, the rule's gains by regime.
    """
    from . import methods

    names = methods.on_validation()
    solved = {}
    for cell in cells:
        for adapter in range(cell.settings.adapters):
            solved.setdefault(cell.regime, []).append(cell.solved("validation", adapter, names))
    found = []
    for family, rules in methods.families().items():
        gains = {name: _gains(solved, name) for name in map(methods.key, rules)}
        harmless = {name: gain for name, gain in gains.items() if min(gain.values()) >= -HARM}
        if harmless:
            best = max(harmless, key=lambda name: sum(harmless[name].values()))
        else:
            best = max(gains, key=lambda name: min(gains[name].values()))
        found.append({"family": family, "rule": best, "validation": gains[best]})
    return found


def _gains(solved: dict[str, list[dict]], name: str) -> dict[str, float]:
    """Over greedy, by regime."""
    return {
        regime: float(np.mean([each[name].mean() - each["greedy"].mean() for each in adapters]))
        for regime, adapters in solved.items()
    }


def _wanted(cell: "Cell", part: str, adapter: int, rules: list[dict]) -> list[str]:
    """Names of the methods that a part of the study needs."""
    from . import methods

    if part == "validation":
        return methods.on_validation()
    always = ["base", "greedy", methods.key(methods.DEFAULT), methods.BEAM_SEARCH]
    return [*always, *_own(cell, adapter).values(), *(row["rule"] for row in rules)]


def _own(cell: "Cell", adapter: int) -> dict[str, str]:
    """What is chosen for one adapter on its validation problems: a fixed setting, and a factor of the adapter."""
    from . import methods
    from .cell import best

    solved = cell.solved("validation", adapter, methods.on_validation())
    return {"tuned": best(solved, methods.fixed()), "scaled": best(solved, methods.scaled())}


def _outcomes(cell: "Cell", rules: list[dict]) -> list[dict]:
    """Of each adapter: what was chosen for it, and which test problems each method solves, as text."""
    from .outcomes import pack

    found = []
    for adapter in range(cell.settings.adapters):
        own = _own(cell, adapter)
        solved = cell.solved("test", adapter, _wanted(cell, "test", adapter, rules))
        solved |= {name: solved[method] for name, method in own.items()}
        for method in own.values():
            if method.startswith("scaled "):
                del solved[method]
        found.append({**own, "solved": {name: pack(each) for name, each in solved.items()}})
    return found


def _claim(folder: Path, record: dict) -> None:
    """Say in the folder what its results belong to.

    Raises:
        ValueError: it has results of other settings.
    """
    file = folder / "settings.json"
    record = {name: value for name, value in record.items() if name != "bases"}  # more of them may follow
    if not file.exists():
        write_whole(file, json.dumps(record, indent=1))
        return
    there = json.loads(file.read_text())
    if there != json.loads(json.dumps(record)):
        differ = ", ".join(name for name in record if there.get(name) != record[name])
        raise ValueError(f"{folder} has results of another study ({differ}); give another --folder, or remove it")
