"""What ``generate`` hands to a decoding loop: what this one honours, and the refusal of the rest by name."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from transformers import GenerationConfig, GenerationMixin

HONOURED = {
    "max_length", "max_new_tokens", "min_length", "min_new_tokens", "max_time", "stop_strings", "do_sample",
    "temperature", "top_k", "top_p", "top_h", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
    "bad_words_ids", "renormalize_logits", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "sequence_bias", "token_healing",
    "guidance_scale", "watermarking_config", "num_return_sequences", "return_dict_in_generate", "output_scores",
    "output_logits", "pad_token_id", "bos_token_id", "eos_token_id",
}  # fmt: skip
# Of beams, assistants, encoders, caches or compilers, which are refused or absent themselves.
WITHOUT_EFFECT = {
    "early_stopping", "length_penalty", "low_memory", "num_assistant_tokens", "num_assistant_tokens_schedule",
    "assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight",
    "max_matching_ngram_size", "decoder_start_token_id", "max_cache_len", "disable_compile", "transformers_version",
}  # fmt: skip
NEUTRAL = {"num_beams": 1, "num_beam_groups": 1, "use_cache": True, "cache_implementation": "dynamic"}
BEHIND = (
    "do_sample", "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
    "watermarking_config", "renormalize_logits",
)  # fmt: skip
"""The options of which ``generate`` makes the processors that it puts behind all others."""


def kept_back(model: torch.nn.Module) -> Mapping[str, Any]:
    """What the ``generate`` of ``model`` that is running was given and keeps back; empty where none is.

    It hands a streamer, an assistant and ``synced_gpus`` to no loop but its own, whatever that loop's parameters are;
    only its frame tells of them, and a streamer that is dropped leaves its reader waiting for ever.
    """
    code, frame = inspect.unwrap(GenerationMixin.generate).__code__, inspect.currentframe()
    while frame is not None:
        if frame.f_code is code and frame.f_locals.get("self") is model:
            return {name: frame.f_locals.get(name) for name in ("streamer", "assistant_model", "synced_gpus")}
        frame = frame.f_back
    return {}


def check_config(config: GenerationConfig) -> None:
    """Refuse options that this loop has not; also those that a later release of transformers may bring.

    Raises:
        ValueError: the option, by name and value.
    """
    for name in sorted(vars(GenerationConfig()).keys() - HONOURED - WITHOUT_EFFECT):
        value, neutral = getattr(config, name, None), NEUTRAL.get(name)
        unset = value is None or (not value and neutral is not True)
        if not name.startswith("_") and not unset and value != neutral:
            instead = "leave it out" if neutral is None else f"contrastive decoding has {neutral}"
            raise ValueError(f"{name}={value} cannot be honoured; {instead}")


def check_kept_back(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of ``generate`` that it does not hand on, but for a streamer.

    Raises:
        ValueError: the argument, by name.
    """
    for name in ("assistant_model", "synced_gpus"):
        if arguments.get(name) not in (None, False):
            raise ValueError(f"{name} cannot be honoured; contrastive decoding has its amateur, on one device")


def prompt_mask(input_ids: torch.Tensor, given: Mapping[str, Any]) -> torch.Tensor:
    """Which of ``input_ids`` count ``[B, L]``, bool.

    Args:
        input_ids: ``[B, L]``, padded on the left.
        given: What the model would be called with besides. The attention mask is honoured; what ``generate`` prepares
            itself is let pass.

    Raises:
        ValueError: an input that is not understood, or a mask that is not one of padding on the left.
    """
    for name, value in given.items():
        if not (value is None or _prepared(name, value)):
            raise ValueError(f"{name} cannot be honoured; the inputs of contrastive decoding are input_ids and a mask")
    mask = given.get("attention_mask")
    mask = torch.ones_like(input_ids) if mask is None else mask
    if mask.shape != input_ids.shape:
        raise ValueError(f"attention_mask has shape {list(mask.shape)}; input_ids has {list(input_ids.shape)}")
    if not ((mask == 0) | (mask == 1)).all():
        raise ValueError("attention_mask holds values other than 0 and 1")
    mask = mask.bool().to(input_ids.device)
    for row, counts in enumerate(mask.tolist()):
        if not any(counts):
            raise ValueError(f"attention_mask leaves row {row} of input_ids no token; a prompt has one or more")
        if not all(counts[counts.index(True) :]):
            raise ValueError(
                f"attention_mask has a 0 behind a 1 in row {row}; prompts are padded on the left, with no gaps "
                "(without a mask, generate makes one of where pad_token_id stands)"
            )
    if not _counts(given.get("position_ids"), mask):
        raise ValueError(f"position_ids cannot be honoured unless they count the 1s of a mask {list(mask.shape)}")
    return mask


def _prepared(name: str, value: Any) -> bool:
    """Whether an input is one that is looked at, or no more than what ``generate`` prepares of its own."""
    if name == "past_key_values":
        return not getattr(value, "_is_user_defined", False) and not value.get_seq_length()
    if name == "logits_to_keep":
        return isinstance(value, int) and value <= 1
    return name in ("attention_mask", "position_ids", "use_cache")


def _counts(positions: torch.Tensor | None, mask: torch.Tensor) -> bool:
    """Whether positions ``[B or 1, L]`` are the places of the tokens that count."""
    if positions is None:
        return True
    wanted = mask.long().cumsum(1) - 1
    broadcasts = positions.ndim == 2 and len(positions) in (1, len(mask)) and positions.shape[1] == mask.shape[1]
    return broadcasts and bool((positions.to(mask.device).expand_as(wanted) == wanted)[mask].all())
