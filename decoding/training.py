"""LoRA training, PEFT underneath: deterministic by its seed, and from the last saved step on if it was killed."""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cold_kernels.files import write_whole

from .models import prompt_ids

STATE = "training_state.pt"
"""In the adapter's folder, while its training is not at its end."""
IGNORED = -100
"""The label that transformers' loss leaves out."""


@dataclass(frozen=True)
class Settings:
    """What an adapter depends on, beside model and examples.

    Args:
        steps: Of ``batch`` examples each, drawn without repetition until all were seen.
        targets: Names of layers, or ``all-linear``.
        learning_rate: Of the first step; it falls linearly to 0 after the last.
        raw: Whether prompts are given as they are, without the chat template.
        bf16: Whether passes are computed in bfloat16; the matrices stay in float32.
    """

    steps: int = 200
    batch: int = 8
    rank: int = 8
    targets: tuple[str, ...] = ("all-linear",)
    learning_rate: float = 1e-3
    seed: int = 0
    raw: bool = False
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a whole number from 1 on")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning rate is {self.learning_rate}; above 0 and below 1")


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[tuple[str, str]],
    settings: Settings,
    folder: Path,
    belongs: str = "",
    save_every: int = 50,
) -> Iterator[tuple[int, float]]:
    """Train an adapter and save it as PEFT does; gives each step that is done, from 1 on, and its loss.

    Args:
        model: Adapters are put into it, and stay there.
        examples: Prompts and completions; the loss is of completions alone, which end with the end-of-text token.
        folder: Where the adapter goes, and where the state is kept meanwhile.
        belongs: What tells model and examples from others, so that no training goes on with what is another's.
        save_every: Steps between saves of the state.

    Raises:
        ValueError: ``folder`` holds an adapter, or the state of another training; no layer of the names in
            ``targets``; an example that is longer than the model's context.
    """
    if (folder / "adapter_config.json").exists():
        raise ValueError(f"{folder} holds an adapter already; choose another folder")
    owner = asdict(settings) | {"belongs": belongs, "examples": len(examples)}
    state = _state(folder / STATE, owner)
    ids = [_tokens(model, tokenizer, example, settings.raw) for example in examples]
    torch.manual_seed(settings.seed)
    peft = get_peft_model(model, _config(settings)).train()
    weights = [parameter for parameter in peft.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
    done = 0
    if state is not None:
        set_peft_model_state_dict(peft, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]
    order = _order(len(ids), settings)
    for step in range(done + 1, settings.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * (settings.steps + 1 - step) / settings.steps
        chosen = [ids[place] for place in order[(step - 1) * settings.batch : step * settings.batch]]
        loss = _loss(peft, chosen, settings.bf16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % save_every == 0 and step < settings.steps:
            _save(folder / STATE, owner, peft, optimizer, step)
        yield step, loss.item()
    peft.eval().save_pretrained(folder)
    (folder / STATE).unlink(missing_ok=True)


def _config(settings: Settings) -> LoraConfig:
    targets = settings.targets[0] if settings.targets == ("all-linear",) else list(settings.targets)
    return LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=targets, task_type="CAUSAL_LM")


def _tokens(model, tokenizer, example: tuple[str, str], raw: bool) -> tuple[list[int], list[int]]:
    """An example's tokens, and those of them that count."""
    prompt = prompt_ids(tokenizer, example[0], not raw)
    completion = [*tokenizer(example[1], add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    ids = prompt + completion
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context and len(ids) > context:
        raise ValueError(f"an example has {len(ids)} tokens, the model's context is {context}: {example[0][:60]!r}")
    return ids, [IGNORED] * len(prompt) + completion


def _order(count: int, settings: Settings) -> list[int]:
    """Places of the examples, in the order in which all steps take them."""
    draw, order = random.Random(settings.seed), []
    while len(order) < settings.steps * settings.batch:
        order += draw.sample(range(count), count)
    return order


def _loss(peft: PeftModel, chosen: list[tuple[list[int], list[int]]], bf16: bool) -> torch.Tensor:
    longest = max(len(ids) for ids, _ in chosen)
    # Padding on the right, which causal attention never sees.
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in chosen], device=peft.device)
    labels = torch.tensor([wanted + [IGNORED] * (longest - len(wanted)) for _, wanted in chosen], device=peft.device)
    with torch.autocast(peft.device.type, torch.bfloat16, enabled=bf16):
        return peft(input_ids=ids, labels=labels).loss


def _state(path: Path, owner: dict[str, Any]) -> dict[str, Any] | None:
    """What a killed training of the same settings left."""
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    if changed := [name for name, value in owner.items() if state["owner"].get(name) != value]:
        name = changed[0]
        was = f"{name} {state['owner'].get(name)!r}, not {owner[name]!r}"
        raise ValueError(f"{path.parent} holds a training under way with {was}; give that, or choose another folder")
    return state


def _save(path: Path, owner: dict[str, Any], peft: PeftModel, optimizer: torch.optim.Optimizer, done: int) -> None:
    weights = get_peft_model_state_dict(peft)
    buffer = io.BytesIO()
    torch.save({"owner": owner, "weights": weights, "optimizer": optimizer.state_dict(), "done": done}, buffer)
    write_whole(path, buffer.getvalue())
