"""Sums of three steps put into words, with their solution step by step; from templates of this project."""

import random

from ..problem import Problem
from .task import Task, drawn

NAMES = ("Ana", "Ben", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana")
THINGS = ("apples", "books", "coins", "marbles", "pencils", "shells", "stamps", "tickets")
GAINS = ("buys {n} more", "finds {n} more", "is given {n} more")
LOSSES = ("gives away {n}", "loses {n}", "sells {n}")


def problem(draw: random.Random) -> tuple[str, str]:
    """A word problem of three steps, and its solution step by step."""
    name, thing, total = draw.choice(NAMES), draw.choice(THINGS), draw.randint(5, 40)
    told, steps = [f"{name} has {total} {thing}."], []
    for _ in range(3):
        n = draw.randint(2, 20)
        gain = draw.random() < 0.5 or n > total
        told.append(f"Then {name} {draw.choice(GAINS if gain else LOSSES).format(n=n)}.")
        after = total + n if gain else total - n
        steps.append(f"{total} {'+' if gain else '-'} {n} = {after}.")
        total = after
    return f"{' '.join(told)} How many {thing} does {name} have?", f"{' '.join(steps)} #### {total}"


def problems(split: str, count: int) -> list[Problem]:
    """As many as are asked for."""
    return drawn(_made, split, count)


def _made(draw: random.Random) -> tuple[str, str, str]:
    question, solution = problem(draw)
    return question, solution, solution.rpartition(" ")[2]


TASK = Task("sums of three steps in words, from templates of this project", problems, "number", 60)
