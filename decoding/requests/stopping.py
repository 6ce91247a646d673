"""When a request is done."""

from collections.abc import Sequence

import torch
from transformers import GenerationConfig

from .request import Request
from .values import members, number


class Stopping:
    """The ends of requests: tokens, criteria and lengths.

    Args:
        requests: All requests, checked.
        defaults: The model's, for the ids that end a text.
        context: Tokens that the model can look at; None without a limit.
    """

    def __init__(self, requests: Sequence[Request], defaults: GenerationConfig, context: int | None) -> None:
        self._requests = requests
        ends = _ends(defaults)
        self._ends = [ends if request.eos_token_id is None else set(request.eos_token_id) for request in requests]
        self._prompts = [len(request.ids()) for request in requests]
        self._most = [
            min(request.max_new_tokens, context - prompt) if context else request.max_new_tokens
            for request, prompt in zip(requests, self._prompts, strict=True)
        ]

    def most(self, place: int) -> int:
        """Tokens that the request may get."""
        return self._most[place]

    def reason(self, place: int, text: list[int]) -> str | None:
        """Why the request ends with the last token of ``text``, prompt and new tokens; None if it goes on."""
        request = self._requests[place]
        if text[-1] in self._ends[place]:
            return "eos"
        if text[-1] in request.stop_token_ids:
            return "stop"
        if request.stopping_criteria:
            ids = torch.tensor([text])
            if any(bool(torch.as_tensor(stop(ids, None)).any()) for stop in request.stopping_criteria):
                return "stop"
        if request.together is not None and request.together.ended[place]:
            return "stop"
        return "length" if len(text) - self._prompts[place] >= self._most[place] else None


def _ends(defaults: GenerationConfig) -> set[int | float]:
    """Those outside the vocabulary stay: as in Hugging Face, they end no text."""
    ends = set()
    for token in [] if defaults.eos_token_id is None else members(defaults.eos_token_id):
        if number(token) is None:
            raise ValueError(
                f"the model's generation config: eos_token_id holds {token!r}; token ids are whole numbers"
            )
        ends.add(number(token))
    return ends
