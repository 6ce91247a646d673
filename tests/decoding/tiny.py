"""Small random models, adapters that PEFT itself saves, and PEFT's own two passes to compare with."""

import copy
import functools
import math
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

VOCABULARY, CONTEXT = 199, 64
SIZES = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=CONTEXT,
    initializer_range=0.3,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)
GEMMA = dict(head_dim=8, query_pre_attn_scalar=8, sliding_window=6, tie_word_embeddings=False)
FAMILIES = {
    "llama": {},
    "qwen2": {},
    "qwen3": dict(head_dim=8),
    "mistral": dict(sliding_window=6),
    "gemma2": GEMMA,
    "gemma3_text": dict(GEMMA, layer_types=["sliding_attention", "full_attention"]),
    "phi": {},
    "phi3": dict(sliding_window=None),
    "gpt2": dict(n_inner=48, tie_word_embeddings=False),
}


def tiny_model(family: str = "llama", seed: int = 0, **changes) -> PreTrainedModel:
    """A model in which every parameter matters and logits lie apart."""
    config = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family], **changes})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
    return model


def quiet(function):
    """PEFT warns of what is meant here."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


@quiet
def tuned(model: PreTrainedModel, seed: int = 1, **config) -> PeftModel:
    """A PEFT model over a copy, as if trained: no matrix is zero."""
    config = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **config}
    torch.manual_seed(seed)
    peft = get_peft_model(copy.deepcopy(model), LoraConfig(**config)).eval()
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name or "lora_embedding_A" in name:
                parameter.normal_(std=0.2)
    return peft


@quiet
def save_adapter(folder: Path, model: PreTrainedModel, seed: int = 1, **config) -> Path:
    """The folder, with what PEFT saves of an adapter for the model."""
    tuned(model, seed, **config).save_pretrained(folder)
    return folder


class Reference:
    """PEFT's model with and without its adapter, a pass for each: no cache, one text at a time, no padding."""

    options = dict(use_cache=False)

    @quiet
    def __init__(self, model: PreTrainedModel, folder: Path | None = None) -> None:
        self.model = copy.deepcopy(model)
        if folder is not None:
            self.model = PeftModel.from_pretrained(self.model, folder).eval()

    @torch.no_grad()
    def logits(self, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Expert's and amateur's, of the next token."""
        ids = torch.tensor([ids])
        expert = self.model(input_ids=ids, **self.options).logits[0, -1]
        if not isinstance(self.model, PeftModel):
            return expert, expert
        with self.model.disable_adapter():
            return expert, self.model(input_ids=ids, **self.options).logits[0, -1]

    def scores(self, ids: list[int], alpha: float | None = 0.1, beta: float = 0.5, processors=()) -> torch.Tensor:
        """Of the next token: -inf where it is not valid."""
        expert, amateur = self.logits(ids)
        for processor in processors:
            expert = processor(torch.tensor([ids]), expert[None].clone())[0]
        score = (1 + beta) * expert - beta * amateur if beta else expert
        return score if alpha is None else score.masked_fill(expert < expert.max() + math.log(alpha), -math.inf)

    def greedy(self, prompt: list[int], new: int, **options) -> list[int]:
        ids = list(prompt)
        for _ in range(new):
            ids.append(int(self.scores(ids, **options).argmax()))
        return ids[len(prompt) :]


@functools.cache
def prompts(*lengths: int, seed: int = 0) -> tuple[list[int], ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(VOCABULARY, (length,), generator=generator).tolist() for length in lengths)
