"""The decode loop: passes over the rows of all requests, and a token for each request, until all are done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch

from ..layers.injection import Injection
from ..packed.rows import PackedRows
from ..padded.rows import PaddedRows
from ..requests.choice import Chooser, TokenChoice
from ..requests.request import Request
from ..requests.stopping import Stopping
from .course import Course
from .lagging import worth_lagging


class Token(NamedTuple):
    """One step of one request, as `ContrastiveLoRA.stream` gives it.

    Args:
        request: The request's place in the list.
        token: The new token; None if there was none, and the reason is ``length`` or ``no_token``.
        finish_reason: As in `Result`; None while the request goes on.
        expert_logprob, amateur_logprob: None unless the request asks for them, and has an amateur.
        text: What the token adds to the request's text; None without a tokenizer.
    """

    request: int
    token: int | None
    finish_reason: str | None = None
    expert_logprob: float | None = None
    amateur_logprob: float | None = None
    text: str | None = None


def decode(
    rows: PackedRows | PaddedRows,
    requests: Sequence[Request],
    stopping: Stopping,
    slots: Mapping[str, int],
    turn: Callable[[], AbstractContextManager[Injection]],
    anew_after: int | None = None,
) -> Iterator[Token]:
    """Tokens of the requests as they are chosen.

    Args:
        rows: What runs the passes; without any row.
        requests: All have been checked.
        slots: The adapters' slots, by name.
        turn: Entered around each pass; gives what tells the injected layers each token's adapter.
        anew_after: Tokens beyond which a text is fed from its beginning again, once; in padded rows alone.
    """
    going = [(place, request) for place, request in enumerate(requests) if stopping.most(place) > 0]
    for place in range(len(requests)):
        if stopping.most(place) <= 0:
            yield Token(place, None, "length")
    loop = _Loop(rows, Chooser(requests), stopping, going, slots)
    while loop.courses:
        # Whatever mode the caller is in by then: keys and values are written to in later steps.
        with torch.inference_mode(False), torch.no_grad():
            if anew_after is not None:
                loop.feed_anew(anew_after)
            with turn() as injection:
                logits = loop.forward(injection)
            told = loop.choose(logits)
        yield from told


class _Loop:
    def __init__(
        self,
        rows: PackedRows | PaddedRows,
        chooser: Chooser,
        stopping: Stopping,
        requests: Sequence[tuple[int, Request]],
        slots: Mapping[str, int],
    ) -> None:
        self.rows, self.chooser, self.stopping = rows, chooser, stopping
        self.courses = [
            Course(place, request, request.ids(), rows.open(slots.get(request.adapter, -1)))
            for place, request in requests
        ]
        # Behind all experts: rows of one adapter are multiplied together where they follow one another.
        for course in self.courses:
            if course.request.contrasts:
                course.amateur = rows.open(-1)
                course.may_lag = rows.packs and chooser.may_lag(course.request)

    def feed_anew(self, after: int) -> None:
        """Forget what the rows of texts have been fed that have just grown longer than so many tokens."""
        for course in self.courses:
            if 0 < course.expert_fed <= after < len(course.text):
                course.expert_fed = course.amateur_fed = 0
                for row in course.rows:
                    self.rows.restart(row)

    def forward(self, injection: Injection) -> dict[int, torch.Tensor]:
        """One pass; logits ``[V]`` by row."""
        lag = worth_lagging(self.rows, self.courses)
        feeds = [feed for course in self.courses for feed in course.feeds(lag and course.lags)]
        return dict(zip((feed.row for feed in feeds), self.rows.forward(feeds, injection.acting), strict=True))

    def choose(self, logits: dict[int, torch.Tensor]) -> list[Token]:
        """The tokens that a pass has settled."""
        told = self._settle([course for course in self.courses if course.open_logits is not None], logits)
        return told + self._step([course for course in self.courses if course.expert in logits], logits)

    def _settle(self, courses: list[Course], logits: dict[int, torch.Tensor]) -> list[Token]:
        """Close the open steps, whose amateurs have caught up."""
        if not courses:
            return []
        experts = torch.stack([course.open_logits for course in courses])
        amateurs = torch.stack([logits.pop(course.amateur) for course in courses])
        guesses = [course.close() for course in courses]
        choice = self._choose(courses, experts, amateurs)
        for course, guess, token in zip(courses, guesses, choice.tokens, strict=True):
            if token != guess and course.expert in logits:
                del logits[course.expert]
                self.rows.take_back(course.expert, 1)
                course.expert_fed -= 1
        return [self._tell(course, choice, row) for row, course in enumerate(courses)]

    def _step(self, courses: list[Course], logits: dict[int, torch.Tensor]) -> list[Token]:
        """The next token of each, or a guess where the amateur is behind and needed."""
        if not courses:
            return []
        experts = torch.stack([logits[course.expert] for course in courses])
        experts = self.chooser.processed(_asked(courses), _texts(courses), experts)
        behind = [course.amateur is not None and course.amateur not in logits for course in courses]
        if any(behind):
            opened = self._open(courses, behind, experts)
            courses = [course for course in courses if course.open_logits is None]
            experts = experts[[row for row, is_open in enumerate(opened) if not is_open]] if any(opened) else experts
        if not courses:
            return []
        amateurs = None
        if any(course.amateur in logits for course in courses):
            amateurs = [logits.get(course.amateur, expert) for course, expert in zip(courses, experts, strict=True)]
            amateurs = torch.stack(amateurs)
        choice = self._choose(courses, experts, amateurs)
        return [self._tell(course, choice, row) for row, course in enumerate(courses)]

    def _open(self, courses: list[Course], behind: list[bool], experts: torch.Tensor) -> list[bool]:
        """Open the step of those whose amateur is behind and needed; tells which."""
        contested = self.chooser.contested(_asked(courses), experts)
        rows = [row for row, (is_behind, changes) in enumerate(zip(behind, contested)) if is_behind and changes]
        guesses = {}
        if rows:
            asked = [courses[row] for row in rows]
            guesses = dict(zip(rows, self.chooser.guess(_asked(asked), _texts(asked), experts[rows])))
        for row, course in enumerate(courses):
            course.steps += behind[row]
            if guesses.get(row, -1) >= 0:
                course.contested += 1
                ends = self.stopping.reason(course.place, [*course.text, guesses[row]]) is not None
                course.open(experts[row], guesses[row], ends)
        return [course.open_logits is not None for course in courses]

    def _choose(self, courses: list[Course], experts: torch.Tensor, amateurs: torch.Tensor | None) -> TokenChoice:
        return self.chooser.choose(_asked(courses), _texts(courses), experts, amateurs)

    def _tell(self, course: Course, choice: TokenChoice, row: int) -> Token:
        """A course's new token; where it ends, its rows are free."""
        token, reason = choice.tokens[row], "no_token"
        if token >= 0:
            course.text.append(token)
            reason = self.stopping.reason(course.place, course.text)
        if reason is not None:
            self.courses.remove(course)
            for each in course.rows:
                self.rows.close(each)
        if token < 0:
            return Token(course.place, None, reason)
        if not course.request.logprobs:
            return Token(course.place, token, reason)
        expert, amateur = choice.logprobs(row)
        return Token(course.place, token, reason, expert, amateur if course.amateur is not None else None)


def _asked(courses: Sequence[Course]) -> list[tuple[int, Request]]:
    return [(course.place, course.request) for course in courses]


def _texts(courses: Sequence[Course]) -> dict[int, list[int]]:
    return {course.place: course.text for course in courses}
