"""Which problems a command line means: a file, or a built-in task; and how their prompts are given."""

import argparse
from pathlib import Path

from ..evaluation.problem import Problem, read_problems
from ..evaluation.tasks.task import TASKS, Task, task


def add_problems(parser: argparse.ArgumentParser, what: str, split: str) -> None:
    """Add the options ``--file``, ``--task``, ``--problems`` and ``--raw``.

    Args:
        what: What a line of the file has, in words.
        split: Of a task, that is taken.
    """
    parser.add_argument("--file", type=Path, metavar="FILE.jsonl", help=f"a line a problem, an object with {what}")
    parser.add_argument("--task", choices=TASKS, help=f"or a built-in task, its {split} split")
    parser.add_argument("--problems", type=int, metavar="N", help="the first N of them; default: all of a file, or 500")
    parser.add_argument("--raw", action="store_true", help="prompts as they are, without the chat template")


def given_problems(options: argparse.Namespace, split: str) -> tuple[list[Problem], Task | None]:
    """The problems, and the task that they are of.

    Raises:
        ValueError: neither a file nor a task is given, or both; no whole number of problems; a file without any.
        CommandFailed: the package that has a task's data is not installed.
    """
    if (options.file is None) == (options.task is None):
        raise ValueError(f"give --file FILE.jsonl or --task, one of {', '.join(TASKS)}")
    if options.problems is not None and options.problems < 1:
        raise ValueError(f"--problems {options.problems}: a whole number from 1 on")
    if options.file is not None:
        return read_problems(options.file)[: options.problems], None
    found = task(options.task)
    return found.problems(split, options.problems or 500), found
