"""Synthetic stories whose words mean to a base model what they mean to its adapter's task, or something else.

A story is a digit and some verbs; its answer walks through it: each verb again, and the digit that it leads to.

    S 3 jump turn = jump 8 turn 1 .
"""

from dataclasses import dataclass

import numpy as np
import torch

DIGITS, VERBS, AMBIGUOUS = 10, 12, 6
FIRST_VERB, START, EQUALS, END = 10, 22, 23, 24
VOCABULARY = 25
REGIMES = {"opposes": 1.0, "mixed": 0.5, "agrees": 0.0}
"""How often an ambiguous verb has another meaning in the base's corpus than in the adapter's task, by regime."""
BASE_STEPS = (1, 2, 3, 4)
"""Verbs in the base's stories."""
TASK_STEPS = 5
"""Verbs in the adapter's: a length that no base has seen, so that there is something to learn in every regime."""


@dataclass(frozen=True)
class World:
    """What verbs do to digits.

    Args:
        meanings: The task's, ``[verb, digit]``: a permutation of the digits for each verb.
        others: What the first `AMBIGUOUS` verbs may mean to a base: another permutation, apart from the first
            everywhere.
    """

    meanings: np.ndarray
    others: np.ndarray

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> "World":
        """A world at random."""
        meanings = np.stack([draw.permutation(DIGITS) for _ in range(VERBS)])
        others = np.stack([np.roll(row, draw.integers(1, DIGITS)) for row in meanings[:AMBIGUOUS]])
        return cls(meanings, others)

    def stories(self, draw: np.random.Generator, count: int, steps: int, other: float = 0.0) -> torch.Tensor:
        """Stories with their answers, ``[count, 3 * steps + 4]``, int64.

        Args:
            other: The chance that an ambiguous verb has its other meaning, drawn each time that it occurs.
        """
        digit = draw.integers(DIGITS, size=count)
        verbs = draw.integers(VERBS, size=(count, steps))
        strange = (draw.random((count, steps)) < other) & (verbs < AMBIGUOUS)
        tokens = np.full((count, 3 * steps + 4), END)
        tokens[:, 0], tokens[:, 1], tokens[:, 2 + steps] = START, digit, EQUALS
        tokens[:, 2 : 2 + steps] = verbs + FIRST_VERB
        for step in range(steps):
            verb = verbs[:, step]
            means_other = self.others[verb % AMBIGUOUS, digit]
            digit = np.where(strange[:, step], means_other, self.meanings[verb, digit])
            tokens[:, prompt_length(steps) + 2 * step] = verb + FIRST_VERB
            tokens[:, prompt_length(steps) + 2 * step + 1] = digit
        return torch.from_numpy(tokens)


def prompt_length(steps: int) -> int:
    """Tokens of a story before its answer."""
    return 3 + steps


def solved(answers: torch.Tensor, stories: torch.Tensor) -> torch.Tensor:
    """Whether the digit before the first end is the story's.

    Args:
        answers: What was generated ``[..., count, tokens]``.
        stories: Of `World.stories`, ``[count, length]``.

    Returns:
        bool ``[..., count]``; false where nothing ends.
    """
    ends = answers == END
    at = ends.int().argmax(-1, keepdim=True)
    last = answers.gather(-1, (at - 1).clamp(min=0))[..., 0]
    return ends.any(-1) & (at[..., 0] > 0) & (last == stories[:, -2])
