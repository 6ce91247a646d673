"""Tiny models with three adapters of different ranks, scalings and layers."""

import copy

import torch
from peft import LoraConfig

from tests.decoding.tiny import VOCABULARY, quiet, tiny_model, tuned

NAMES = ["default", "two", "__base__", "three", "two", "default", "__base__"]
"""Of seven rows: three adapters and base rows, interleaved."""
PATTERNS = dict(r=3, lora_alpha=5, rank_pattern={r".*1\..*": 6}, alpha_pattern={r".*1\..*": 1})


@quiet
def adapted(family="llama", **changes):
    """A model on which ``two`` adapts some layers by rsLoRA, and ``three`` some with another rank in the second one."""
    model = tuned(tiny_model(family, **changes))
    names = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if hasattr(module, "lora_A")})
    model.add_adapter("two", LoraConfig(r=5, lora_alpha=3, use_rslora=True, target_modules=names[::2]))
    model.add_adapter("three", LoraConfig(target_modules=names, **PATTERNS))
    filled(model, "two", "three")
    return model.eval()


@torch.no_grad()
def filled(model, *adapters):
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        if any(f"lora_B.{adapter}." in name for adapter in adapters):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


def batch(rows=len(NAMES), length=6):
    """Token ids of so many rows."""
    return torch.randint(1, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))


def tokens(model, names=NAMES, **options):
    options = dict(max_new_tokens=6, do_sample=False, pad_token_id=0) | options
    ids = batch(len(names))
    return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), adapter_names=list(names), **options)


@torch.no_grad()
def logits(model, names=NAMES):
    return model(input_ids=batch(len(names)), adapter_names=list(names)).logits


def own(model):
    """A copy, whose mixed batches PEFT computes."""
    return copy.deepcopy(model)
