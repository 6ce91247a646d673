"""What evaluate and tune share: their options, and the answers that are asked for with progress."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..evaluation.problem import Problem
from .named_adapters import add_adapters, named_adapters
from .problem_source import add_problems, given_problems

if TYPE_CHECKING:
    from ..evaluation.answer import Answers

SCORES = ("exact", "number", "bleu")
GOES_ON = "answers are kept; the same command goes on"


def add_options(parser: argparse.ArgumentParser, split: str) -> None:
    """Add the options of a model, its adapters, and problems."""
    parser.add_argument("--model", required=True, help="as in generate")
    add_adapters(parser, required=True)
    add_problems(parser, '"prompt" and "answer"', split)
    parser.add_argument("--score", choices=SCORES, help="of a file's answers; default: exact. number: the last one")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="of an answer; default: the task's, or 64")
    parser.add_argument("--rows", type=int, default=32, help="texts decoded together; default: 32")
    parser.add_argument(
        "--out", type=Path, default=Path("evaluation"), metavar="FOLDER", help="of answers; default: evaluation"
    )


def prepared(options: argparse.Namespace, split: str) -> tuple[list[Problem], dict[str, str], str, "Answers"]:
    """Problems, adapters, the score's name, and the answers, none of which has been asked for yet."""
    problems, task = given_problems(options, split)
    adapters = named_adapters(options.adapter)
    score = options.score or (task.score if task else "exact")
    most = options.max_new_tokens or (task.max_new_tokens if task else 64)
    if most < 1:
        raise ValueError(f"--max-new-tokens {most}: a whole number from 1 on")
    if options.rows < 3:
        raise ValueError(f"--rows {options.rows}: a whole number from 3 on")
    if score == "bleu":
        import_module("sacrebleu")
    from ..evaluation.asked import asked, opened

    with Console(stderr=True).status(f"loading {options.model}"):
        whom = opened(options.model, adapters)
    answers = asked(whom, problems, most, options.out, options.raw, options.rows)
    return problems, adapters, score, answers


def ask_with_progress(answers: "Answers", methods: list[tuple[str | None, float, float]], words: str) -> None:
    """Ask, with progress on stderr."""
    from ..evaluation.asked import ask

    columns = TextColumn(words), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task("", total=None)
        for done, every in ask(answers, methods):
            progress.update(shown, completed=done, total=every)
