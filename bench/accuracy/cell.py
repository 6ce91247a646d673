"""A base of the mechanism study with its adapters: trained, tried on validation problems, tested; each part is kept."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

from cold_kernels.code_digest import code_digest
from cold_kernels.files import write_whole

from . import methods
from .outcomes import pack, unpack
from .stories import REGIMES, TASK_STEPS, World, prompt_length, solved
from .tiny_models import BASE_RATE, base_batches, expert, new_model, train, train_adapter
from .tree import beam_search, decode

BASE_STEPS = 200
"""Steps of a base's training."""
ADAPTER_STEPS = {"opposes": 48, "mixed": 20, "agrees": 30}
"""Of an adapter's, by regime."""
LENGTH = 2 * TASK_STEPS + 1
CHUNK = 500
"""Problems decoded together, which bounds memory."""


@dataclass(frozen=True)
class Settings:
    """What results depend on.

    Args:
        bases, adapters: Bases of each regime, and adapters of each base.
        problems, validation: Problems of each adapter: to test, and to choose settings on.
        seed: Of everything.
    """

    bases: int = 5
    adapters: int = 3
    problems: int = 1000
    validation: int = 300
    seed: int = 0

    @cached_property
    def record(self) -> dict:
        """With the training that results belong to, as files keep it."""
        training = dict(base_steps=BASE_STEPS, adapter_steps=ADAPTER_STEPS)
        return {**asdict(self), **training, "code": code_digest("bench.accuracy.tiny_models")[:16]}


@dataclass(frozen=True)
class Cell:
    """One base of one regime; bases of the same number share their world and first weights in all regimes."""

    settings: Settings
    folder: Path
    regime: str
    base: int

    def __str__(self) -> str:
        return f"{self.regime}, base {self.base + 1} of {self.settings.bases}"

    @cached_property
    def world(self) -> World:
        """Of the base and its adapters."""
        return World.drawn(np.random.default_rng(self._seeds(0)))

    @cached_property
    def models(self) -> tuple[LlamaForCausalLM, list[tuple[dict, dict]]]:
        """The base, and config and tensors of each adapter; trained unless the folder has them."""
        model = new_model(self._number(1))
        file = self._file("pt")
        if file.exists():
            kept = torch.load(file, weights_only=True)
            model.load_state_dict(kept["base"])
            return model.eval(), kept["adapters"]
        draw = np.random.default_rng(self._seeds(2))
        train(model, base_batches(self.world, draw, BASE_STEPS, REGIMES[self.regime]), BASE_STEPS, BASE_RATE)
        steps = ADAPTER_STEPS[self.regime]
        numbers = [self._number(3, adapter) for adapter in range(self.settings.adapters)]
        adapters = [train_adapter(model, self.world, number, steps) for number in numbers]
        content = io.BytesIO()
        torch.save({"base": model.state_dict(), "adapters": adapters}, content)
        write_whole(file, content.getvalue())
        return model, adapters

    def solved(self, part: str, adapter: int, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Which problems each method solves; only methods that the folder does not have yet are decoded.

        Args:
            part: ``"validation"`` or ``"test"``.
            names: Of methods, as `methods` names them.

        Returns:
            By name, bool ``[problems]``.
        """
        file = self._file(f"{adapter}.{part}.json")
        kept = json.loads(file.read_text()) if file.exists() else {}
        stories = self._stories(part, adapter)
        missing = [name for name in dict.fromkeys(names) if name not in kept]
        if missing:
            kept |= {name: pack(each) for name, each in self._decoded(adapter, stories, missing).items()}
            write_whole(file, json.dumps(kept))
        return {name: unpack(kept[name], len(stories)) for name in names}

    def _decoded(self, adapter: int, stories: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
        model, adapters = self.models
        parts = stories[:, : prompt_length(TASK_STEPS)].split(CHUNK)
        known = methods.choices()
        merged = expert(model, *adapters[adapter])
        together = [name for name in names if name in known]
        ways = [known[name] for name in together]
        answers = {}
        if together:
            found = torch.cat([decode(merged, model, part, ways, LENGTH) for part in parts], 1)
            answers = dict(zip(together, found))
        for name in names:
            if name == methods.BEAM_SEARCH:
                answers[name] = torch.cat([beam_search(merged, part, methods.BEAMS, LENGTH) for part in parts])
            elif name not in known:
                scaled = expert(model, *adapters[adapter], methods.SCALED[name])
                answers[name] = torch.cat([decode(scaled, None, p, [methods.greedy], LENGTH)[0] for p in parts])
        return {name: solved(each, stories) for name, each in answers.items()}

    def _stories(self, part: str, adapter: int) -> torch.Tensor:
        count, purpose = {"validation": (self.settings.validation, 4), "test": (self.settings.problems, 5)}[part]
        return self.world.stories(np.random.default_rng(self._seeds(purpose, adapter)), count, TASK_STEPS)

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.regime}-{self.base}.{kind}"

    def _seeds(self, purpose: int, adapter: int = 0) -> list[int]:
        regime = list(REGIMES).index(self.regime) if purpose > 1 else 0
        return [self.settings.seed, self.base, purpose, regime, adapter]

    def _number(self, purpose: int, adapter: int = 0) -> int:
        return int(np.random.default_rng(self._seeds(purpose, adapter)).integers(1 << 31))


def best(solved: dict[str, np.ndarray], names: Iterable[str]) -> str:
    """The method that solves most; of equals the first."""
    return max(names, key=lambda name: solved[name].sum())
