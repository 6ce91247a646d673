"""The decode loop: a pass of all rows, a token for each request, until all are done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from .batch import Batch
from .choice import Chooser, TokenChoice
from .layers import Injection
from .proof import Proof
from .request import Request
from .stopping import Stopping


class Token(NamedTuple):
    """One step of one request, as `ContrastiveLoRA.stream` gives it.

    Args:
        request: The request's place in the list.
        token: The new token; None if there was none, and the reason is ``length`` or ``no_token``.
        finish_reason: As in `Result`; None while the request goes on.
        expert_logprob, amateur_logprob: None unless the request asks for them, and has an amateur.
    """

    request: int
    token: int | None
    finish_reason: str | None = None
    expert_logprob: float | None = None
    amateur_logprob: float | None = None


def decode(
    proof: Proof,
    requests: Sequence[Request],
    stopping: Stopping,
    slots: Mapping[str, int],
    turn: Callable[[], AbstractContextManager[Injection]],
) -> Iterator[Token]:
    """Tokens of the requests as they are chosen.

    Args:
        proof: Of the model that decodes.
        requests: All have been checked.
        slots: The adapters' slots, by name.
        turn: Entered around each pass; gives what tells the injected layers each row's adapter.
    """
    left = []
    for place, request in enumerate(requests):
        if stopping.most(place) > 0:
            left.append((place, request))
        else:
            yield Token(place, None, "length")
    batches = [Batch(proof, group, slots) for group in ([left] if proof.pads else _by_length(left))]
    chooser = Chooser(requests)
    while any(batch.left for batch in batches):
        for batch in filter(lambda batch: batch.left, batches):
            with turn() as injection:
                expert, amateur = batch.forward(injection.rows)
            expert = chooser.processed(batch.left, batch.texts, expert)
            choice = chooser.choose(batch.left, batch.texts, expert, amateur)
            steps = [_step(row, batch, choice, stopping) for row in range(len(batch.left))]
            batch.append(choice.tokens, [step.finish_reason is None for step in steps])
            yield from steps


def _by_length(requests: Sequence[tuple[int, Request]]) -> list[list[tuple[int, Request]]]:
    """Groups of requests whose prompts are as long."""
    groups: dict[int, list[tuple[int, Request]]] = {}
    for place, request in requests:
        groups.setdefault(len(request.ids()), []).append((place, request))
    return list(groups.values())


def _step(row: int, batch: Batch, choice: TokenChoice, stopping: Stopping) -> Token:
    place, request = batch.left[row]
    token = choice.tokens[row]
    if token < 0:
        return Token(place, None, "no_token")
    reason = stopping.reason(place, [*batch.texts[place], token])
    if not request.logprobs:
        return Token(place, token, reason)
    expert, amateur = choice.logprobs(row)
    return Token(place, token, reason, expert, amateur if request.contrasts else None)
