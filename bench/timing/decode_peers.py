"""Steps of the ways in which people decode contrastively with stock transformers and PEFT, each with its own cache.

Each step gives the tokens that it has chosen, ``[B]``.
"""

import math
from collections.abc import Callable, Iterator

import torch
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel, UnbatchedClassifierFreeGuidanceLogitsProcessor

ALPHA, BETA = 0.1, 0.5


class _Pass:
    """Forward passes of one model over a growing cache."""

    def __init__(self, model: Callable, prompts: torch.Tensor, **more: object) -> None:
        self.model, self.more, self.cache = model, more, DynamicCache(config=model.config)
        self.logits = self(prompts)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.logits = self.model(
                input_ids=ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1, **self.more
            ).logits[:, -1]
        return self.logits


def _contrast(expert: torch.Tensor, amateur: torch.Tensor) -> torch.Tensor:
    cutoff = expert.max(-1, keepdim=True).values + math.log(ALPHA)
    return ((1 + BETA) * expert - BETA * amateur).masked_fill(expert < cutoff, -torch.inf).argmax(-1)


def greedy(expert: PeftModel, base: PreTrainedModel, prompts: torch.Tensor) -> Iterator[torch.Tensor]:
    """(a) PEFT, greedy on the adapter: no amateur at all."""
    run = _Pass(expert, prompts)
    while True:
        tokens = run.logits.argmax(-1)
        yield tokens
        run(tokens[:, None])


def two_models(expert: PeftModel, base: PreTrainedModel, prompts: torch.Tensor) -> Iterator[torch.Tensor]:
    """(b) A pass of the LoRA model and one of a second copy of the base: two models in memory."""
    return _two(_Pass(expert, prompts), _Pass(base, prompts))


def disable_adapter(expert: PeftModel, base: PreTrainedModel, prompts: torch.Tensor) -> Iterator[torch.Tensor]:
    """(c) The stock two passes: adapter on, then ``disable_adapter()``."""

    class Disabled:
        config = expert.config

        def __call__(self, **args: object) -> object:
            with expert.disable_adapter():
                return expert(**args)

    return _two(_Pass(expert, prompts), _Pass(Disabled(), prompts))


def _two(expert: _Pass, amateur: _Pass) -> Iterator[torch.Tensor]:
    while True:
        tokens = _contrast(expert.logits, amateur.logits)
        expert(tokens[:, None])
        amateur(tokens[:, None])
        yield tokens


def mixed_batch(expert: PeftModel, base: PreTrainedModel, prompts: torch.Tensor) -> Iterator[torch.Tensor]:
    """(d) PEFT's mixed batch: one pass of doubled rows with ``adapter_names``."""
    rows = len(prompts)
    run = _Pass(expert, prompts.repeat(2, 1), adapter_names=["default"] * rows + ["__base__"] * rows)
    while True:
        tokens = _contrast(run.logits[:rows], run.logits[rows:])
        run(tokens.repeat(2)[:, None])
        yield tokens


def guidance(expert: PeftModel, base: PreTrainedModel, prompts: torch.Tensor) -> Iterator[torch.Tensor]:
    """(e) Classifier-free guidance of transformers, its second pass through the LoRA model itself, as people use it."""
    run, ids = _Pass(expert, prompts), prompts
    processor = UnbatchedClassifierFreeGuidanceLogitsProcessor(1 + BETA, expert, unconditional_ids=prompts)
    while True:
        with torch.no_grad():
            tokens = processor(ids, run.logits).argmax(-1)
        ids = torch.cat([ids, tokens[:, None]], 1)
        run(tokens[:, None])
        yield tokens


PEERS = {
    "(a) PEFT greedy": greedy,
    "(b) LoRA pass + base pass": two_models,
    "(c) disable_adapter": disable_adapter,
    "(d) mixed batch": mixed_batch,
    "(e) guidance": guidance,
}
