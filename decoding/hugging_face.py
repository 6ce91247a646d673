"""The seam to Hugging Face's ``generate``: its arguments, our loop."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    MaxLengthCriteria,
    PreTrainedModel,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.stopping_criteria import EosTokenCriteria

from .contrastive_lora import ContrastiveLoRA
from .request import Request

OURS = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MaxLengthCriteria, EosTokenCriteria)


class _OfRow:
    """A processor of a whole batch, such as ``generate`` makes, on the logits of one row, padded as there."""

    def __init__(self, processor: Callable, row: int, rows: int, padding: torch.Tensor) -> None:
        self.processor, self.row, self.rows, self.padding = processor, row, rows, padding

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ids = torch.cat([self.padding[None], ids], 1).expand(self.rows, -1)
        scores = scores.repeat(self.rows, 1)
        return self.processor(ids, scores)[self.row : self.row + 1]


def cold_generate(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    cold: ContrastiveLoRA,
    adapter: str | list[str | None] | None = None,
    alpha: float | None = 0.1,
    beta: float = 0.5,
    seed: int | None = None,
    **others: Any,
) -> torch.Tensor:
    """For ``model.generate(**inputs, custom_generate=cold_generate, cold=ContrastiveLoRA(model, …), adapter="math")``.

    Temperature, top-k, top-p, lengths, end tokens, processors and criteria are those of the call; as in `Request`,
    processors change the expert's logits, and what warps them for a draw warps the contrastive score.

    Args:
        cold: The adapters of this model.
        adapter: The expert of all rows, or one for each.
        alpha, beta: As in `Request`.
        seed: Of the draws; row i draws with ``seed + i``. None: as torch's global generator goes on.
        others: What else ``generate`` hands on, of which the attention mask of left-padded prompts is used. It keeps
            back a streamer and an assistant, which are without effect here.

    Returns:
        Prompts and new tokens ``[B, length]``, the shorter ones padded on the right.

    Raises:
        ValueError: an option of ``generate`` that this loop has not: beams, several sequences, scores.
    """
    if not cold.serves(model):
        raise ValueError("cold holds the adapters of another model; make a ContrastiveLoRA of this one")
    config = generation_config
    for name, neutral in (("num_beams", 1), ("num_return_sequences", 1), ("return_dict_in_generate", False)):
        if (getattr(config, name, None) or neutral) != neutral:
            raise ValueError(f"{name}={getattr(config, name)} cannot be honoured; contrastive decoding has {neutral}")
    if others.get("streamer") is not None:
        raise ValueError("streamer cannot be honoured; use ContrastiveLoRA.stream")
    processors = [processor for processor in logits_processor if not isinstance(processor, OURS)]
    warpers = [processor for processor in processors if type(processor).__name__.endswith("Warper")]
    mask = others.get("attention_mask")  # not a parameter: generate would take the name for one of ours
    mask = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.bool()
    rows = len(input_ids)
    names = adapter if isinstance(adapter, list) else [adapter] * rows
    if len(names) != rows:
        raise ValueError(f"adapter names {len(names)} experts for {rows} rows of input_ids")
    if config.do_sample and seed is None:
        seed = int(torch.randint(1 << 62, (1,)))
    requests = [
        Request(
            ids[counts],
            adapter=name,
            alpha=alpha,
            beta=beta,
            max_new_tokens=config.max_length - input_ids.shape[1],
            temperature=(config.temperature or 1.0) if config.do_sample else 0.0,
            top_k=(config.top_k or None) if config.do_sample else None,
            top_p=config.top_p if config.do_sample else None,
            seed=None if seed is None else seed + row,
            eos_token_id=config.eos_token_id,
            logits_processor=[_OfRow(p, row, rows, ids[~counts]) for p in processors if p not in warpers],
            warpers=[_OfRow(warper, row, rows, ids[~counts]) for warper in warpers],
            stopping_criteria=[stop for stop in stopping_criteria if not isinstance(stop, OURS)],
        )
        for row, (ids, counts, name) in enumerate(zip(input_ids, mask, names, strict=True))
    ]
    new = [torch.tensor(result.tokens, device=input_ids.device) for result in cold.generate(requests)]
    ends = config.eos_token_id if isinstance(config.eos_token_id, int) else (config.eos_token_id or [0])[0]
    padding = ends if config.pad_token_id is None else config.pad_token_id
    longest = torch.nn.utils.rnn.pad_sequence(new, batch_first=True, padding_value=padding)
    return torch.cat([input_ids, longest.to(input_ids.dtype)], 1)
