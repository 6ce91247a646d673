"""A model with adapters that is asked problems, and the file that its answers are kept in."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from ..contrastive_lora import ContrastiveLoRA
from ..models import load, prompt_ids
from .answer import Answers
from .first_tokens import FirstTokens
from .generated import Generated, Method
from .journal import Journal
from .problem import Problem, digest


@dataclass(frozen=True)
class Opened:
    """A model with its adapters, as a command line names them, loaded once for any number of problems."""

    model: str
    adapters: dict[str, str]
    cold: ContrastiveLoRA
    tokenizer: PreTrainedTokenizerBase


def opened(model: str, adapters: dict[str, str]) -> Opened:
    """Load a model (`decoding.models.load`) and adapters, folders or names on the hub.

    Raises:
        FileNotFoundError, ValueError: one that cannot be loaded.
    """
    loaded, tokenizer = load(model)
    return Opened(model, adapters, ContrastiveLoRA(loaded, adapters), tokenizer)


def asked(
    whom: Opened, problems: Sequence[Problem], max_new_tokens: int, folder: Path, raw: bool = False, rows: int = 32
) -> Answers:
    """Answers of a model, kept in ``folder``; what a run before this one has asked is not asked again.

    The file's name follows from model, adapters, problems and what else decides answers. Answers of one token come from
    kept logits (`FirstTokens`), longer ones are decoded by each method (`Generated`).

    Raises:
        ValueError: no token to generate, two problems of one name, or a file of answers that is damaged.
    """
    if max_new_tokens < 1:
        raise ValueError(f"{max_new_tokens} new tokens; an answer has 1 or more")
    prompts = {problem.name: prompt_ids(whom.tokenizer, problem.prompt, not raw) for problem in problems}
    if len(prompts) < len(problems):
        raise ValueError("two problems have the same name")
    owner = {
        "model": whom.model,
        "adapters": {name: _content(source) for name, source in whom.adapters.items()},
        "problems": digest(problems),
        "max_new_tokens": max_new_tokens,
        "raw": raw,
    }
    name = hashlib.sha256(json.dumps(owner).encode()).hexdigest()[:16]
    journal = Journal(folder, name, owner)
    if max_new_tokens == 1:
        return FirstTokens(whom.cold, whom.tokenizer, prompts, journal, rows)
    return Generated(whom.cold, whom.tokenizer, prompts, journal, max_new_tokens, rows)


def ask(answers: Answers, methods: Sequence[Method]) -> Iterator[tuple[int, int]]:
    """Ask all problems by these methods; gives how much is done, of how much."""
    return answers.ask() if isinstance(answers, FirstTokens) else answers.ask(methods)


def _content(source: str) -> str:
    """What tells an adapter from another: its weights, or its name on the hub."""
    weights = Path(source) / "adapter_model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16] if weights.is_file() else source
