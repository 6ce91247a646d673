"""PEFT's mixed batches by the operators beside its own: cached steps and prompts of four rows and more, one thread."""

import functools

import pytest
import torch

pytest.importorskip("peft")
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import Linear, LoraLayer
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from cold_kernels.integrations.peft import attach

from .decode_models import MODULES

PROMPT = 32
SIZES = {
    "Llama 6M, random": dict(hidden_size=256, intermediate_size=688, num_hidden_layers=2, num_key_value_heads=2),
    "Llama 100M, random": dict(hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_key_value_heads=12),
}
NAMES = ["math", "code", "__base__", "chat"]
"""Row by row. Of ranks 8, 16 and 8; the last adapts q and v alone."""
ROWS = [1, 4, 8, 16]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def attached(name):
    """A model with three adapters. One for both: the places of a copy's weights in memory make it faster or slower."""
    torch.manual_seed(0)
    sizes = SIZES[name] | dict(vocab_size=8192, eos_token_id=None)
    base = LlamaForCausalLM(LlamaConfig(num_attention_heads=sizes["hidden_size"] // 64, **sizes))
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=MODULES), adapter_name="math")
    model.add_adapter("code", LoraConfig(r=16, lora_alpha=16, target_modules=MODULES))
    model.add_adapter("chat", LoraConfig(r=8, use_rslora=True, target_modules=["q_proj", "v_proj"]))
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.02)
    attach(model.eval())
    return model


def by_peft(function):
    """The function, with PEFT's own mixed batches."""

    def run():
        ours = Linear._mixed_batch_forward
        Linear._mixed_batch_forward = LoraLayer._mixed_batch_forward
        try:
            return function()
        finally:
            Linear._mixed_batch_forward = ours

    return run


@torch.no_grad()
def prompt(model, ids, names, cache=None):
    return model(input_ids=ids, adapter_names=names, past_key_values=cache, use_cache=True).logits[:, -1]


def step(model, ids, names):
    """One cached step a call, always the first one after the prompt."""
    cache = DynamicCache(config=model.config)
    tokens = prompt(model, ids, names, cache).argmax(-1, keepdim=True)

    def run():
        logits = prompt(model, tokens, names, cache)
        cache.crop(-1)
        return logits

    return run


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("part", ["step", "prompt"])
@pytest.mark.parametrize("name", SIZES)
def test_mixed_batch(race, name, part, rows):
    ids = torch.randint(2, 8192, (rows, PROMPT), generator=torch.Generator().manual_seed(1))
    names = [NAMES[row % len(NAMES)] for row in range(rows)]
    model = attached(name)
    ours = step(model, ids, names) if part == "step" else functools.partial(prompt, model, ids, names)
    theirs = by_peft(ours)
    assert torch.equal(ours().argmax(-1), theirs().argmax(-1)) and torch.allclose(ours(), theirs(), atol=1e-3)
    race(ours, {"PEFT": theirs}, rounds=20 if "6M" in name else 8)
