"""An answer, and what asks for it."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """A token that contrast chose against its expert's favourite.

    Args:
        place: Of the token in the answer, from 0 on.
        chosen, favourite: Their text.
        expert, base, favourite_expert: Probabilities of the chosen token by expert and base model, and of the
            favourite by the expert.
    """

    place: int
    chosen: str
    expert: float
    base: float
    favourite: str
    favourite_expert: float


@dataclass(frozen=True)
class Answer:
    """What was said to a problem: the text, its tokens, and where contrast chose."""

    text: str
    length: int
    changes: list[Change] = field(default_factory=list)


class Answers(Protocol):
    """Answers to the problems of a run, in their order."""

    def answers(self, adapter: str | None, alpha: float, beta: float) -> list[Answer]:
        """By one method: the base model (None), an adapter's greedy decoding (``beta`` 0), or CoLD."""
