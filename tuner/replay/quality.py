"""How often a search finds what is to be found, beside other searches on the same recorded spaces."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from statistics import median
from typing import Any

from .loading import load_space
from .replayed import budget, replay
from .rivals.chance import chance
from .rivals.kernel_tuner_runs import STRATEGIES, kernel_tuner
from .rivals.optuna_alone import optuna_alone
from .space import RecordedSpace

WITHIN = 0.02
"""Relative distance from the optimum at which it counts as found."""
SEEDS = 100
ENOUGH = 0.8
"""Share of the seeds that must find it: the goal."""
BEHIND = 0.02
"""What the share may be below the best that it is compared with."""
OWN = 0.1
"""What a search may take of its own, as a share of all that it takes where it compiles."""
LEAST = 200
"""Configurations of the smallest space that the goals are about: smaller ones are tried in full."""
RANDOM, ALONE = "random", "Optuna alone"
PORTION = 10
"""Seeds that a process does at a time."""
COLUMNS = ("space", "configurations", "within 2 %", "default", "evaluations")


def quality(
    paths: Sequence[Path],
    sampler: str,
    seeds: int,
    python: str | None,
    executor: Executor,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Replay ``seeds`` searches on each space, and the others beside them.

    Args:
        paths: Files of recorded spaces.
        sampler: Of ours.
        python: A Python that has Kernel Tuner; None leaves it out.
        executor: Where searches are replayed.
        say: Called with a line of progress.

    Returns:
        What ``--json`` prints: shares of the seeds by space and strategy, and the goals.

    Raises:
        ValueError: a file is no complete recorded space.
        CommandFailed: Kernel Tuner fails.
    """
    spaces = [load_space(path).checked() for path in paths]
    found = []
    for path, space in zip(paths, spaces, strict=True):
        say(f"{space.name}: {seeds} searches of {budget(space)} among {space.legal} configurations")
        found.append(_space(path, space, sampler, seeds, python, executor))
    return {
        "within": WITHIN, "seeds": seeds, "sampler": sampler, "kernel_tuner": python is not None,
        "spaces": found, "goals": goals(found),
    }  # fmt: skip


def goals(spaces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each goal, and the spaces of at least `LEAST` configurations where it is missed."""
    large = [space for space in spaces if space["legal"] >= LEAST]
    wanted = {
        f"{ENOUGH:.0%} of the seeds find it": lambda space: space["ours"]["share"] >= ENOUGH,
        "never below random": lambda space: space["ours"]["share"] >= space["others"][RANDOM],
        f"never more than {BEHIND:.0%} behind the best compared": lambda space: (
            space["ours"]["share"] >= max(space["others"].values()) - BEHIND
        ),
        f"at most {OWN:.0%} of the time is the search's own": lambda space: (
            space["ours"]["own"] is None or space["ours"]["own"] <= OWN
        ),
    }
    return [
        {"goal": goal, "of": len(large), "missed": [space["name"] for space in large if not met(space)]}
        for goal, met in wanted.items()
    ]


def in_lines(found: Mapping[str, Any], markdown: bool = False) -> str:
    """What `quality` returned, as a table and a line for each goal."""
    others = list(dict.fromkeys(name for space in found["spaces"] for name in space["others"]))
    header = [*COLUMNS, f"this search ({found['sampler']})", *others, "own time"]
    rows = [
        [
            space["name"],
            str(space["legal"]),
            str(space["near"]),
            "-" if space["default"] is None else f"{space['default']:.2f}x",
            str(space["evaluations"]),
            f"{space['ours']['share']:.0%}",
            *(f"{space['others'][name]:.0%}" if name in space["others"] else "-" for name in others),
            "-" if space["ours"]["own"] is None else f"{space['ours']['own']:.1%}",
        ]
        for space in found["spaces"]
    ]
    lines = _markdown(header, rows) if markdown else _plain(header, rows)
    said = (
        f"Share of {found['seeds']} seeds within {found['within']:.0%} of the optimum at the end; random is calculated."
    )
    if not found["kernel_tuner"]:
        said += " Kernel Tuner is not installed here and not compared."
    mark = "- " if markdown else ""
    verdicts = [
        f"{mark}{goal['goal']}: "
        + (f"missed on {', '.join(goal['missed'])}" if goal["missed"] else f"met on all {goal['of']} spaces")
        for goal in found["goals"]
    ]
    return "\n".join([said, "", *lines, "", *verdicts])


def _space(
    path: Path, space: RecordedSpace, sampler: str, seeds: int, python: str | None, executor: Executor
) -> dict[str, Any]:
    portions = [range(first, min(first + PORTION, seeds)) for first in range(0, seeds, PORTION)]
    ours = [executor.submit(_replays, path, sampler, portion) for portion in portions]
    alone = [executor.submit(_alone, path, portion) for portion in portions]
    others = {RANDOM: chance(space, budget(space), WITHIN)}
    if python:
        theirs = kernel_tuner(python, space, STRATEGIES, range(seeds), budget(space))
        others |= {f"Kernel Tuner, {name}": _share(space, least) for name, least in theirs.items()}
    runs = [run for portion in ours for run in portion.result()]
    others[ALONE] = _share(space, [least for portion in alone for least in portion.result()])
    best, own, spent = (list(column) for column in zip(*runs, strict=True))
    ratios = sorted(space.optimum / least for least in best)
    total = math.fsum(own) + math.fsum(spent)
    return {
        "name": space.name,
        "file": path.name,
        "evidence": space.about["evidence"],
        "chip": space.about["chip"],
        "legal": space.legal,
        "near": space.near(WITHIN),
        "default": _slower(space),
        "evaluations": budget(space),
        "ours": {
            "share": _share(space, best),
            "median": round(median(ratios), 4),
            "tenth": round(ratios[len(ratios) // 10], 4),
            "own": round(math.fsum(own) / total, 4) if any(spent) else None,
            "found": best,
        },
        "others": others,
    }


def _slower(space: RecordedSpace) -> float | None:
    """How many times slower than the optimum the default is; None if it cannot be used."""
    value = space.usable.get(space.default)
    return None if value is None else round(value / space.optimum, 4)


def _share(space: RecordedSpace, found: Sequence[float]) -> float:
    return sum(value <= space.optimum * (1 + WITHIN) for value in found) / len(found)


def _replays(path: Path, sampler: str, seeds: Sequence[int]) -> list[tuple[float, float, float]]:
    """For each seed the least value found, the search's own seconds, and those of compiling, checking and timing."""
    space = load_space(path)
    runs = [replay(space, sampler, seed, budget(space)) for seed in seeds]
    return [(run.best, run.own_seconds, run.seconds) for run in runs]


def _alone(path: Path, seeds: Sequence[int]) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(path)
    return [optuna_alone(space, seed, budget(space)) for seed in seeds]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [" | ".join(header), " | ".join(["---", *["---:"] * (len(header) - 1)]), *map(" | ".join, rows)]
    return [f"| {line} |" for line in lines]


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    wide = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, wide, strict=True)) for row in (header, *rows)]
