"""What is asked of a decoding, and what comes back."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral

import torch


@dataclass
class Request:
    """One prompt to go on with.

    Args:
        input_ids: The prompt's token ids, one at least; a list or a tensor of one dimension.
        adapter: The expert, by the name given to `ContrastiveLoRA`; None for the base model alone.
        alpha: A token is valid if the expert finds it at least this likely, relative to its likeliest: above 0 and at
            most 1. Under sampling without an amateur this is min-p. None: all within 103 of the highest logit.
        beta: How strongly the amateur, the base model, is held against the expert; 0 leaves it out.
        max_new_tokens: Tokens to generate at most.
        temperature: 0 takes the best score; above, scores are divided by it and a token is drawn.
        top_k, top_p: Draw among the k best, or the fewest that hold the share p; after the mask and temperature.
        seed: Of the draws; the same seed draws the same tokens, whatever else is in the batch.
        eos_token_id: One id or several that end the text; None takes those of the model's generation config.
        stop_token_ids: More ids that end it.
        logits_processor: Hugging Face ``LogitsProcessor``s; they change the expert's logits, before mask and score.
        stopping_criteria: Hugging Face ``StoppingCriteria``s; they see prompt and new tokens, ``[1, length]``.
        warpers: ``LogitsProcessor``s on the scores of a draw, after top-p.
        logprobs: Whether to give the log-probabilities of the tokens.
    """

    input_ids: Sequence[int] | torch.Tensor
    adapter: str | None = None
    alpha: float | None = 0.1
    beta: float = 0.5
    max_new_tokens: int = 128
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    eos_token_id: int | Sequence[int] | None = None
    stop_token_ids: Sequence[int] = ()
    logits_processor: Sequence[Callable] = ()
    stopping_criteria: Sequence[Callable] = ()
    warpers: Sequence[Callable] = ()
    logprobs: bool = False

    @property
    def contrasts(self) -> bool:
        """Whether an amateur takes part; without an adapter it would be the expert itself."""
        return self.beta > 0 and self.adapter is not None

    def check(self, which: str, adapters: Sequence[str], vocabulary: int, context: int | None) -> None:
        """Raise ValueError where a field is wrong; ``which`` names the request."""
        ids = self.ids()
        ranges = (
            (not ids, "input_ids is empty; a prompt has one token or more (the model's bos_token_id, say)"),
            (context and len(ids) > context, f"input_ids has {len(ids)} tokens; the model's context is {context}"),
            (self.adapter is not None and self.adapter not in adapters, f"adapter {self.adapter!r} is not loaded; "
             f"there are {', '.join(map(repr, adapters)) or 'none'}"),
            (self.alpha is not None and not 0 < self.alpha <= 1, f"alpha is {self.alpha}; above 0 to 1, or None"),
            (not 0 <= self.beta <= torch.finfo(torch.float32).max, f"beta is {self.beta}; 0 or more, and finite"),
            (self.max_new_tokens < 0, f"max_new_tokens is {self.max_new_tokens}; 0 or more"),
            (not 0 <= self.temperature < math.inf, f"temperature is {self.temperature}; 0 or more, and finite"),
            (self.top_k is not None and self.top_k < 1, f"top_k is {self.top_k}; 1 or more, or None"),
            (self.top_p is not None and not 0 < self.top_p <= 1, f"top_p is {self.top_p}; above 0 and at most 1"),
            (self.seed is not None and not (isinstance(self.seed, Integral) and 0 <= self.seed < 1 << 64),
             f"seed is {self.seed!r}; a whole number from 0 to 2 ** 64 - 1, or None"),
        )  # fmt: skip
        for wrong, complaint in ranges:
            if wrong:
                raise ValueError(f"{which}: {complaint}")
        for token in ids:
            if not isinstance(token, Integral) or not 0 <= token < vocabulary:
                wanted = f"token ids are whole numbers from 0 to {vocabulary - 1}"
                raise ValueError(f"{which}: input_ids holds {token!r}; {wanted}")

    def ids(self) -> list[int]:
        """The prompt as a list."""
        return self.input_ids.tolist() if isinstance(self.input_ids, torch.Tensor) else list(self.input_ids)


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
