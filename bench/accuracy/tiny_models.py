"""Causal language models of 0.86 million parameters, trained on stories in seconds, and their adapters."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from .stories import BASE_STEPS, END, TASK_STEPS, VOCABULARY, World, prompt_length

SIZES = dict(
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=32,
    initializer_range=0.08,
)
RANK, ADAPTER_BATCH, ADAPTER_RATE = 8, 32, 4e-3
BASE_BATCH, BASE_RATE = 64, 2.5e-3
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def new_model(seed: int) -> LlamaForCausalLM:
    """An untrained model."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=END,
        **SIZES,
    )
    return LlamaForCausalLM(config)


def base_batches(world: World, draw: np.random.Generator, count: int, other: float) -> Iterator[torch.Tensor]:
    """Batches of a base's corpus; the stories of a batch are equally long."""
    for _ in range(count):
        yield world.stories(draw, BASE_BATCH, int(draw.choice(BASE_STEPS)), other)


def task_batches(world: World, draw: np.random.Generator, count: int) -> Iterator[torch.Tensor]:
    """Batches of the adapter's task."""
    for _ in range(count):
        yield world.stories(draw, ADAPTER_BATCH, TASK_STEPS)


def train(model: torch.nn.Module, batches: Iterator[torch.Tensor], count: int, rate: float) -> float:
    """Train what has gradients on the answers of stories; the rate rises for a tenth of the steps and falls to 0.

    Returns:
        The loss of the last batch, in nats a token.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, rate, betas=(0.9, 0.98), weight_decay=0.0)
    model.train()
    loss = torch.zeros(())
    for step, stories in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, 10 * (step + 1) / count) * (1 - step / count)
        prompt = prompt_length((stories.shape[1] - 4) // 3)
        logits = model(input_ids=stories[:, :-1], use_cache=False).logits[:, prompt - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), stories[:, prompt:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    model.eval()
    return loss.item()


def train_adapter(base: LlamaForCausalLM, world: World, seed: int, steps: int) -> tuple[dict, dict]:
    """Train a LoRA adapter of all linear layers on the task; ``base`` stays as it is.

    Returns:
        PEFT's config as a dictionary and its state dict.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    torch.manual_seed(seed)
    settings = dict(r=RANK, lora_alpha=2 * RANK, target_modules=PROJECTIONS, task_type="CAUSAL_LM")
    model = get_peft_model(copy.deepcopy(base), LoraConfig(**settings))
    train(model, task_batches(world, np.random.default_rng(seed), steps), steps, ADAPTER_RATE)
    return settings, get_peft_model_state_dict(model)


def expert(base: LlamaForCausalLM, settings: dict, adapter: dict, factor: float = 1.0) -> LlamaForCausalLM:
    """The base with an adapter merged into its weights, the adapter's update multiplied by a factor."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    settings = {**settings, "lora_alpha": factor * settings["lora_alpha"]}
    model = get_peft_model(copy.deepcopy(base), LoraConfig(**settings))
    set_peft_model_state_dict(model, adapter)
    return model.merge_and_unload().eval()
