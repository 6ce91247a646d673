"""What is asked of a decoding, and what comes back."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from .together import Together
from .values import members, number, token_ids, whole

RANGES = {
    "alpha": (number, lambda value: 0 < value <= 1, "above 0 to 1, or None"),
    "beta": (number, lambda value: 0 <= value <= torch.finfo(torch.float32).max, "0 or more, and finite"),
    "max_new_tokens": (whole, lambda value: value >= 0, "0 or more, or None for what the context holds"),
    "temperature": (number, lambda value: 0 <= value < math.inf, "0 or more, and finite, or None"),
    "top_k": (whole, lambda value: value >= 0, "1 or more, or 0 or None for all"),
    "top_p": (number, lambda value: 0 < value <= 1, "above 0 and at most 1, or None"),
    "seed": (whole, lambda value: 0 <= value < 1 << 64, "a whole number from 0 to 2 ** 64 - 1, or None"),
}
"""Of each field that is a number: its kind, its range, and the range in words. Only beta may not be None."""


@dataclass
class Request:
    """One prompt to go on with. Numbers may be Python's, NumPy's or torch's; ids also arrays of them.

    Args:
        input_ids: The prompt's token ids, one at least: a list, a range, or an array or tensor ``[n]`` or ``[1, n]``.
        adapter: The expert, by the name given to `ContrastiveLoRA`; None for the base model alone.
        alpha: A token is valid if the expert finds it at least this likely, relative to its likeliest: above 0 and at
            most 1. Under sampling without an amateur this is min-p. None: all within 103 of the highest logit.
        beta: How strongly the amateur, the base model, is held against the expert; 0 leaves it out.
        max_new_tokens: Tokens to generate at most; None for as many as the model's context holds.
        temperature: 0 or None takes the best score; above, scores are divided by it and a token is drawn.
        top_k, top_p: Draw among the k best, or the fewest that hold the share p; after the mask and temperature. None,
            and 0 for ``top_k``: among all.
        seed: Of the draws; the same seed draws the same tokens, whatever else is in the batch.
        eos_token_id: One id or several that end the text; None takes those of the model's generation config, an empty
            list none.
        stop_token_ids: One id more or several that end it.
        logits_processor: Hugging Face ``LogitsProcessor``s; they change the expert's logits, before mask and score.
            They are called with this request's text and logits alone, ``[1, length]`` and ``[1, V]``.
        stopping_criteria: Hugging Face ``StoppingCriteria``s; they see prompt and new tokens, ``[1, length]``.
        warpers: ``LogitsProcessor``s on the scores of a draw, after top-p.
        logprobs: Whether to give the log-probabilities of the tokens.
        together: What is called once a step for a whole batch; `cold_generate` sets it, for all requests or none.
    """

    input_ids: Sequence[int] | torch.Tensor
    adapter: str | None = None
    alpha: float | None = 0.1
    beta: float = 0.5
    max_new_tokens: int | None = 128
    temperature: float | None = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    eos_token_id: int | Sequence[int] | torch.Tensor | None = None
    stop_token_ids: int | Sequence[int] | torch.Tensor = ()
    logits_processor: Sequence[Callable] = ()
    stopping_criteria: Sequence[Callable] = ()
    warpers: Sequence[Callable] = ()
    logprobs: bool = False
    together: Together | None = field(default=None, repr=False, kw_only=True)

    @property
    def contrasts(self) -> bool:
        """Whether an amateur takes part; without an adapter it would be the expert itself."""
        return self.beta > 0 and self.adapter is not None

    def checked(self, which: str, adapters: Sequence[str], vocabulary: int, context: int | None) -> "Request":
        """The request in Python's own numbers and lists, with ``max_new_tokens`` filled in.

        Args:
            which: What messages call the request.
            adapters: Names of those that are loaded.
            vocabulary: Ids that the model knows.
            context: Tokens that the model can look at; None without a limit.

        Raises:
            ValueError: a wrong field; the message names the request, the field, its value and what would be right.
        """
        try:
            return replace(self, **self._checked(adapters, vocabulary, context))
        except ValueError as error:
            raise ValueError(f"{which}: {error}") from None

    def ids(self) -> list[int]:
        """The prompt as a list."""
        ids = self.input_ids
        return members(ids[0] if getattr(ids, "ndim", 1) == 2 and len(ids) == 1 else ids)

    def _checked(self, adapters: Sequence[str], vocabulary: int, context: int | None) -> dict[str, Any]:
        fields = {name: _ranged(name, getattr(self, name)) for name in RANGES}
        ids = fields["input_ids"] = token_ids("input_ids", self.ids(), vocabulary)
        if not ids:
            raise ValueError("input_ids is empty; a prompt has one token or more (the model's bos_token_id, say)")
        if context and len(ids) > context:
            raise ValueError(f"input_ids has {len(ids)} tokens; the model's context is {context}")
        if self.adapter is not None and self.adapter not in adapters:
            there_are = ", ".join(map(repr, adapters)) or "none"
            raise ValueError(f"adapter {self.adapter!r} is not loaded; there are {there_are}")
        if fields["max_new_tokens"] is None:
            if not context:
                raise ValueError("max_new_tokens is None, and the model's config tells no context; a whole number")
            fields["max_new_tokens"] = context - len(ids)
        fields["temperature"] = fields["temperature"] or 0.0
        fields["top_k"] = fields["top_k"] or None
        for name in ("eos_token_id", "stop_token_ids"):
            value = getattr(self, name)
            fields[name] = None if value is None else token_ids(name, value, vocabulary)
        fields["stop_token_ids"] = fields["stop_token_ids"] or []
        for name in ("logits_processor", "stopping_criteria", "warpers"):
            fields[name] = _callables(name, getattr(self, name))
        if not isinstance(self.logprobs, bool):
            raise ValueError(f"logprobs is {self.logprobs!r}; True or False")
        return fields


def _ranged(name: str, value: Any) -> int | float | None:
    """The number that a field holds."""
    kind, holds, words = RANGES[name]
    if value is None and name != "beta":
        return None
    found = kind(value)
    if found is None or not holds(found):
        raise ValueError(f"{name} is {value!r}; {words}")
    return found


def _callables(name: str, value: Any) -> list[Callable]:
    if value is None:
        return []
    if not isinstance(value, Iterable):
        raise ValueError(f"{name} is {value!r}; a list of what is to be called")
    called = list(value)
    for member in called:
        if not callable(member):
            raise ValueError(f"{name} holds {member!r}, which cannot be called")
    return called


@dataclass
class Result:
    """What was generated for a request.

    Args:
        tokens: The new tokens' ids, with the one that ended the text.
        finish_reason: ``eos``, ``stop`` (a stop token or criterion), ``length`` (of the request or the context),
            ``no_token`` (the processors left none that is legal, or the logits are NaN).
        expert_logprobs: Of each new token, by the expert after the processors; None unless asked for.
        amateur_logprobs: By the amateur; None where none took part.
    """

    tokens: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    expert_logprobs: list[float] | None = None
    amateur_logprobs: list[float] | None = None
