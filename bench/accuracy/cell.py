"""A base of the mechanism study with its adapters: trained, tried on validation problems, tested; each part is kept."""

import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

from cold_kernels.code_digest import code_digest
from cold_kernels.files import write_whole
from decoding.evaluation.rules import Rule

from . import methods
from .stories import REGIMES, TASK_STEPS, World, prompt_length, solved
from .tiny_models import BASE_RATE, base_batches, expert, new_model, train, train_adapter
from .tree import Choose, beam_search, decode

BASE_STEPS = 300
"""Steps of a base's training."""
ADAPTER_STEPS = {"opposes": 80, "mixed": 80, "agrees": 80}
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
        adapters = [train_adapter(model, self.world, self._number(3, a), steps) for a in range(self.settings.adapters)]
        content = io.BytesIO()
        torch.save({"base": model.state_dict(), "adapters": adapters}, content)
        write_whole(file, content.getvalue())
        return model, adapters

    def validated(self) -> list[dict[str, list[int]]]:
        """Of each adapter, by method, which validation problems are solved: 0 or 1 each."""
        ways = {"greedy": methods.greedy, **_choices([rule for each in methods.families().values() for rule in each])}
        return self._kept("validation.json", ways, lambda adapter: self._solve_all(adapter, ways, 4, methods.FACTORS))

    def tested(self, chosen: list[Rule]) -> list[dict]:
        """Of each adapter what validation chose for it, and by method which test problems are solved.

        Args:
            chosen: The rules of which each has one setting for all tasks.
        """
        ways = {"base": methods.base, "greedy": methods.greedy, **_choices([methods.DEFAULT, *chosen])}

        def test(adapter: int) -> dict:
            setting, factor = tuned(self.validated()[adapter])
            rule = {methods.key(rule): rule for rule in methods.GRID}.get(setting)
            own = methods.greedy if rule is None else rule.choose
            found = self._solve_all(adapter, {**ways, "tuned": own}, 5, [factor])
            scaled = found.pop(f"scaled {factor:g}") if factor != 1 else found["greedy"]
            return {
                "tuned": setting,
                "factor": factor,
                "solved": {**found, "scaled": scaled, "beams": self._beams(adapter)},
            }

        return self._kept("test.json", ways, test)

    def _solve_all(self, adapter: int, ways: dict[str, Choose], purpose: int, factors) -> dict[str, list[int]]:
        model, adapters = self.models
        stories = self._stories(purpose, adapter)
        prompts = stories[:, : prompt_length(TASK_STEPS)]
        found = _solved(expert(model, *adapters[adapter]), model, prompts, stories, ways)
        for factor in factors:
            if factor != 1:
                scaled = expert(model, *adapters[adapter], factor)
                found |= _solved(scaled, None, prompts, stories, {f"scaled {factor:g}": methods.greedy})
        return found

    def _beams(self, adapter: int) -> list[int]:
        model, adapters = self.models
        stories = self._stories(5, adapter)
        merged = expert(model, *adapters[adapter])
        parts = stories[:, : prompt_length(TASK_STEPS)].split(CHUNK)
        answers = torch.cat([beam_search(merged, part, methods.BEAMS, LENGTH) for part in parts])
        return solved(answers, stories).int().tolist()

    def _stories(self, purpose: int, adapter: int) -> torch.Tensor:
        count = self.settings.validation if purpose == 4 else self.settings.problems
        return self.world.stories(np.random.default_rng(self._seeds(purpose, adapter)), count, TASK_STEPS)

    def _kept(self, kind: str, ways: dict, work) -> list:
        """Of each adapter what ``work`` gives, from the folder where that has it for the same methods."""
        file = self._file(kind)
        kept = json.loads(file.read_text()) if file.exists() else {}
        found = kept.get("adapters", []) if kept.get("methods") == list(ways) else []
        for adapter in range(len(found), self.settings.adapters):
            found.append(work(adapter))
            write_whole(file, json.dumps({"methods": list(ways), "adapters": found}))
        return found

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.regime}-{self.base}.{kind}"

    def _seeds(self, purpose: int, adapter: int = 0) -> list[int]:
        regime = list(REGIMES).index(self.regime) if purpose > 1 else 0
        return [self.settings.seed, self.base, purpose, regime, adapter]

    def _number(self, purpose: int, adapter: int = 0) -> int:
        return int(np.random.default_rng(self._seeds(purpose, adapter)).integers(1 << 31))


def tuned(validated: dict[str, list[int]]) -> tuple[str, float]:
    """The best fixed setting and factor; greedy and 1 where none is better, else the first of equals."""
    settings = ["greedy", *(methods.key(rule) for rule in methods.GRID)]
    factors = {1.0: validated["greedy"], **{factor: validated[f"scaled {factor:g}"] for factor in methods.FACTORS}}
    return max(settings, key=lambda name: sum(validated[name])), max(factors, key=lambda each: sum(factors[each]))


def _choices(rules: list[Rule]) -> dict[str, Choose]:
    return {methods.key(rule): rule.choose for rule in rules}


def _solved(
    merged, model, prompts: torch.Tensor, stories: torch.Tensor, ways: dict[str, Choose]
) -> dict[str, list[int]]:
    parts = [decode(merged, model, part, list(ways.values()), LENGTH) for part in prompts.split(CHUNK)]
    return dict(zip(ways, solved(torch.cat(parts, 1), stories).int().tolist()))
