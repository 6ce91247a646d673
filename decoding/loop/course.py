"""The course of one request: its text, its rows, and how far its amateur is behind."""

from dataclasses import dataclass

import torch

from ..model.feed import Feed
from ..requests.request import Request

MOST_BEHIND = 64
"""Tokens by which an amateur lags at most once it has had its prompt, so that no pass becomes much longer."""
OFTEN, STEPS = 0.5, 16
"""An amateur that is needed in so many of its steps, after so many, lags no more."""


@dataclass(eq=False)
class Course:
    """A request that is being decoded.

    Where one token alone passes the mask, the amateur cannot change the choice. So it may lag, and is given its pending
    tokens when it can. Until then the step is open: the expert has gone on with its favourite, a guess, which is taken
    back if contrast chooses otherwise.

    Args:
        place: The request's place among all.
        text: Prompt and new tokens; while a step is open, its last token is the guess.
        expert, amateur: Rows; None where no amateur takes part.
        may_lag: Whether nothing that the request asks for needs the amateur in every step.
        expert_fed, amateur_fed: Tokens of the text that the rows have been given.
        open_logits: The expert's logits ``[V]`` of the open step; None where none is.
        waits: Whether the guess would end the text, so that the expert does not go on.
        steps, contested: Steps while the amateur lagged, and those in which it was needed.
    """

    place: int
    request: Request
    text: list[int]
    expert: int
    amateur: int | None = None
    may_lag: bool = False
    expert_fed: int = 0
    amateur_fed: int = 0
    open_logits: torch.Tensor | None = None
    waits: bool = False
    steps: int = 0
    contested: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        """The expert's row, and the amateur's if it has one."""
        return (self.expert,) if self.amateur is None else (self.expert, self.amateur)

    @property
    def pending(self) -> int:
        """Tokens that the amateur would be given now."""
        return len(self.text) - (self.open_logits is not None) - self.amateur_fed

    @property
    def lags(self) -> bool:
        """Whether the amateur may be left behind in the next pass."""
        often = self.steps >= STEPS and self.contested > OFTEN * self.steps
        return self.may_lag and not often and (self.amateur_fed == 0 or self.pending <= MOST_BEHIND)

    def feeds(self, lags: bool) -> list[Feed]:
        """What the rows are given in the next pass.

        Args:
            lags: Whether the amateur is left behind, unless it is needed.
        """
        feeds = []
        if not self.waits:
            feeds.append(Feed(self.expert, self.text[self.expert_fed :]))
            self.expert_fed = len(self.text)
        if self.amateur is not None and (self.open_logits is not None or not lags):
            end = self.amateur_fed + self.pending
            feeds.append(Feed(self.amateur, self.text[self.amateur_fed : end]))
            self.amateur_fed = end
        return feeds

    def open(self, logits: torch.Tensor, guess: int, ends: bool) -> None:
        """Go on with a guess until the amateur has been asked."""
        self.open_logits, self.waits = logits, ends
        self.text.append(guess)

    def close(self) -> int:
        """Take the guess out of the text, and give it."""
        self.open_logits, self.waits = None, False
        return self.text.pop()
