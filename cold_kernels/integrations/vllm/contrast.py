"""CoLD fields of a request: `cold_beta` and `cold_alpha` in ``extra_args``, which over HTTP are ``vllm_xargs``."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import msgspec
from vllm import SamplingParams

from .names import ALPHA, BETA

DEFAULT_ALPHA = 0.1
PREFIX = "cold_"
ROLE, PAIR, SEED = "cold_role", "cold_pair", "cold_seed"
"""What the scheduler writes beside them; a client may not."""
EXPERT, AMATEUR, ALONE = "expert", "amateur", "alone"
"""The rows of a pair; and a row whose expert is its amateur, as it has no adapter or beta is 0."""

HONOURED = frozenset(
    """
    n temperature top_p top_k seed stop stop_token_ids ignore_eos max_tokens min_tokens logprobs logprob_token_ids
    flat_logprobs detokenize skip_special_tokens spaces_between_special_tokens include_stop_str_in_output output_kind
    stream_interval skip_clone output_text_buffer_length structured_outputs logit_bias allowed_token_ids bad_words
    extra_args skip_reading_prefix_cache watermarking
    """.split()
)
"""Sampling parameters that mean beside contrast what they mean without it. What changes logits acts before contrast."""
BECAUSE = {
    **dict.fromkeys(
        ("presence_penalty", "frequency_penalty", "repetition_penalty", "min_p"),
        "it acts after the choice by contrast, which it could not change",
    ),
    "prompt_logprobs": "a step whose token is not counted would give them twice",
}

OF_THE_EXPERT = (
    "logprobs", "logprob_token_ids", "structured_outputs", "logit_bias", "allowed_token_ids", "bad_words",
    "_bad_words_token_ids",
)  # fmt: skip
"""What goes to the client, or changes the expert's logits alone, as processors do in `decoding`."""


@dataclass(frozen=True)
class Contrast:
    """``(1 + beta) * expert - beta * amateur`` over the tokens with ``expert >= max + log(alpha)``."""

    alpha: float
    beta: float


def contrast_of(params: SamplingParams | None) -> Contrast | None:
    """The contrast that a request asks for; None for a plain one.

    Raises:
        ValueError: a field of ours with a name or value that is none, or alpha without beta.
    """
    extra = (params.extra_args if params is not None else None) or {}
    ours = [name for name in extra if isinstance(name, str) and name.startswith(PREFIX)]
    if unknown := sorted(set(ours) - {BETA, ALPHA, ROLE, PAIR, SEED}):
        raise ValueError(f"{unknown[0]} is unknown; contrast takes {BETA} and {ALPHA}")
    if BETA not in extra:
        if ALPHA in extra:
            raise ValueError(f"{ALPHA} does nothing without {BETA}; give that too, or leave out both")
        return None
    beta = _number(BETA, extra[BETA], "0 or more")
    alpha = _number(ALPHA, extra.get(ALPHA, DEFAULT_ALPHA), "above 0 and at most 1")
    if beta < 0:
        raise ValueError(f"{BETA} is {extra[BETA]!r}; it must be 0 or more")
    if not 0 < alpha <= 1:
        raise ValueError(f"{ALPHA} is {extra[ALPHA]!r}; it must be above 0 and at most 1")
    return Contrast(alpha, beta)


def check_params(params: SamplingParams) -> None:
    """Refuse what a request cannot have: values of contrast, fields that only the scheduler writes, and beside contrast
    any sampling parameter that would be ignored.

    Raises:
        ValueError: which field, its value, and what is possible.
    """
    if written := sorted({ROLE, PAIR, SEED} & set(params.extra_args or {})):
        raise ValueError(f"{written[0]} is written by the scheduler and cannot be given; give {BETA} and {ALPHA}")
    if contrast_of(params) is None:
        return
    for name, default in _defaults().items():
        value = getattr(params, name)
        if name not in HONOURED and value != default:
            why = BECAUSE.get(name, "nobody has shown that both together are right")
            raise ValueError(
                f"{name} is {value!r} beside {BETA}, which cannot be honoured: {why}; leave one of them out"
            )


def marked(params: SamplingParams, role: str, pair: str, seed: int) -> SamplingParams:
    """A copy for one row of a pair; the amateur's is without what is the expert's alone.

    vLLM draws nothing for these rows and needs no generator of its own, which on CPUs cannot take a draw back.
    """
    copied = copy.copy(params)
    copied.seed = None
    copied.extra_args = {**params.extra_args, ROLE: role, PAIR: pair, SEED: seed}
    if role == AMATEUR:
        for name in OF_THE_EXPERT:
            if hasattr(copied, name):
                setattr(copied, name, None)
    return copied


def _number(name: str, value: Any, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; it must be a number, {wanted}")
    return float(value)


def _defaults() -> dict[str, Any]:
    """The public sampling parameters of this release and their defaults."""
    found = {}
    for field in msgspec.structs.fields(SamplingParams):
        if not field.name.startswith("_"):
            made = field.default_factory is not msgspec.NODEFAULT
            found[field.name] = field.default_factory() if made else field.default
    return found
