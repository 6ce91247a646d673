"""``python -m bench accuracy mechanism``: whether contrast helps where a base's prior opposes, mixes with or agrees
with an adapter's task, in models so small that it can be decided.
"""

import argparse
import gzip
import json
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cold_kernels.command import FOUND
from cold_kernels.files import write_whole

FOLDER = Path(__file__).parent.parent / "results" / "accuracy" / "mechanism"
QUICK = dict(bases=2, adapters=1, problems=100, validation=50)
"""What ``--quick`` makes smaller."""
HARM = 0.005
"""A loss of accuracy that no rule may have."""
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
    from .mechanism_page import markdown
    from .stories import REGIMES

    chosen = QUICK if arguments.quick else {}
    for name, (least, most) in LIMITS.items():
        if (value := getattr(arguments, name)) is not None:
            if not least <= value <= most:
                raise ValueError(f"--{name} {value}: {least} to {most}")
            chosen = {**chosen, name: value}
    settings = Settings(**chosen)
    folder = (arguments.folder or FOLDER) / ("quick" if arguments.quick else "full")
    _claim(folder, settings.record)
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * (arguments.minutes or float("inf"))
    cells = [Cell(settings, folder, regime, base) for base in range(settings.bases) for regime in REGIMES]
    rules = []
    for part in ("trained and validated", "tested"):
        for cell in cells:
            if time.monotonic() > until:
                print(f"time is up before {cell} is {part}; the same command goes on")
                return FOUND
            cell.validated() if part != "tested" else cell.tested([rule for rule, _ in rules])
            print(f"{part}: {cell}", flush=True)
        if not rules:
            rules = choose(
                {regime: [cell.validated() for cell in cells if cell.regime == regime] for regime in REGIMES}
            )
    study = {
        "settings": settings.record,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "rules": [row for _, row in rules],
        "regimes": {
            regime: [_packed(cell.tested([rule for rule, _ in rules])) for cell in cells if cell.regime == regime]
            for regime in REGIMES
        },
    }
    if arguments.out:
        write_whole(arguments.out, gzip.compress(json.dumps(study).encode(), mtime=0))
    print(markdown(study))
    return None


def choose(validated: dict[str, list]) -> list[tuple]:
    """Of each family of rules the setting for all tasks together, by validation problems.

    It is the one with the highest mean gain over greedy of those that lose at most `HARM` in each regime; or, where
    there is none, the one whose worst regime loses least.

    Args:
        validated: Of each regime, of each base, of each adapter: which problems each method solves.

    Returns:
        Of each family its rule, and a dictionary of it: family, rule, gains by regime on validation problems.
    """
    from . import methods

    found = []
    for family, rules in methods.families().items():
        gains = {methods.key(rule): _gains(validated, methods.key(rule)) for rule in rules}
        harmless = {name: gain for name, gain in gains.items() if min(gain.values()) >= -HARM}
        if harmless:
            best = max(harmless, key=lambda name: sum(harmless[name].values()))
        else:
            best = max(gains, key=lambda name: min(gains[name].values()))
        rule = next(rule for rule in rules if methods.key(rule) == best)
        found.append((rule, {"family": family, "rule": best, "validation": gains[best]}))
    return found


def _gains(validated: dict[str, list], name: str) -> dict[str, float]:
    """Over greedy, by regime."""
    return {
        regime: float(np.mean([np.mean(each[name]) - np.mean(each["greedy"]) for base in bases for each in base]))
        for regime, bases in validated.items()
    }


def _packed(adapters: list[dict]) -> list[dict]:
    from .outcomes import pack

    return [{**each, "solved": {name: pack(bits) for name, bits in each["solved"].items()}} for each in adapters]


def _claim(folder: Path, record: dict) -> None:
    """Say in the folder what its results belong to.

    Raises:
        ValueError: it has results of other settings.
    """
    file = folder / "settings.json"
    if not file.exists():
        write_whole(file, json.dumps(record, indent=1))
        return
    there = json.loads(file.read_text())
    if there != json.loads(json.dumps(record)):
        differ = ", ".join(name for name in record if there.get(name) != record[name])
        raise ValueError(f"{folder} has results of another study ({differ}); give another --folder, or remove it")
