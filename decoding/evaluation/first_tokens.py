"""Answers of one token: logits are kept, so that any alpha and beta cost no further pass."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from cold_kernels import contrastive_argmax

from ..contrastive_lora import ContrastiveLoRA
from ..requests.request import Request
from .answer import Answer, Change
from .journal import Journal

FLOOR = 1e-3
"""The smallest alpha that kept logits serve: tokens that the expert finds less likely, relative to its likeliest, are
not kept."""


class FirstTokens:
    """The first new token of each prompt, by the base model and by every adapter.

    Args:
        cold: Its adapters are the experts.
        prompts: Token ids, by the problem's name.
        journal: Has a record for each problem that was asked: the base model's token, and by adapter the tokens that
            pass the mask at `FLOOR` with both logits and both log-sums of all exponentials, float32.
        rows: Of a pass, at most.
    """

    def __init__(
        self,
        cold: ContrastiveLoRA,
        tokenizer: PreTrainedTokenizerBase,
        prompts: dict[str, list[int]],
        journal: Journal,
        rows: int = 32,
    ) -> None:
        self._cold, self._tokenizer, self._prompts, self._journal = cold, tokenizer, prompts, journal
        self._rows = rows
        self._stacks: dict[str, tuple[torch.Tensor, ...]] = {}

    def ask(self) -> Iterator[tuple[int, int]]:
        """Run the passes that are missing; gives how many problems are done, of how many."""
        done = {record["problem"] for record in self._journal.records}
        left = [name for name in self._prompts if name not in done]
        adapters = [None, *self._cold.slots]
        together = max(1, self._rows // len(adapters))
        for start in range(0, len(left), together):
            names = left[start : start + together]
            rows = self._logits([self._prompts[name] for name in names], adapters)
            for name, (base, *experts) in zip(names, rows, strict=True):
                kept = {adapter: _kept(expert, base) for adapter, expert in zip(adapters[1:], experts, strict=True)}
                self._journal.add({"problem": name, "base": int(base.argmax()), "adapters": kept})
            yield len(self._prompts) - len(left) + start + len(names), len(self._prompts)

    def answers(self, adapter: str | None, alpha: float, beta: float) -> list[Answer]:
        """Of all problems; after `ask`.

        Raises:
            ValueError: ``alpha`` is below `FLOOR`.
        """
        if adapter is None:
            records = self._by_problem()
            return [Answer(self.text(records[name]["base"]), 1) for name in self._prompts]
        alpha = alpha if beta else 1.0
        if alpha < FLOOR:
            raise ValueError(f"alpha is {alpha:g}; logits are kept for {FLOOR:g} and above")
        tokens, expert, amateur, sums = self._stacks.get(adapter) or self._stack(adapter)
        rows = len(tokens)
        chosen = contrastive_argmax(expert, amateur, torch.full((rows,), alpha), torch.full((rows,), beta)).tolist()
        favourites = expert.argmax(1).tolist()
        return [
            self._answer(row, *places, tokens, expert, amateur, sums)
            for row, places in enumerate(zip(chosen, favourites))
        ]

    def logits(self, adapter: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Candidates' token ids, expert's and amateur's logits ``[problems, candidates]``; the expert's are -inf, and
        ids -1, where a problem has fewer candidates.
        """
        return (self._stacks.get(adapter) or self._stack(adapter))[:3]

    def _logits(self, prompts: Sequence[list[int]], adapters: Sequence[str | None]) -> list[list[torch.Tensor]]:
        """Rows of logits ``[V]``, by prompt and adapter."""
        seen: list[list[torch.Tensor]] = [[] for _ in range(len(prompts) * len(adapters))]
        requests = []
        for prompt in prompts:
            for adapter in adapters:
                keep = _keeping(seen[len(requests)])
                requests.append(
                    Request(prompt, adapter, beta=0.0, max_new_tokens=1, logits_processor=[keep], eos_token_id=())
                )
        self._cold.generate(requests)
        rows = [row[0] for row in seen]
        return [rows[start : start + len(adapters)] for start in range(0, len(rows), len(adapters))]

    def _by_problem(self) -> dict[str, dict[str, Any]]:
        return {record["problem"]: record for record in self._journal.records}

    def _stack(self, adapter: str) -> tuple[torch.Tensor, ...]:
        """Of an adapter, over all problems: tokens, logits of both, and the sums of both."""
        records = self._by_problem()
        kept = [records[name]["adapters"][adapter] for name in self._prompts]
        most = max(len(each["tokens"]) for each in kept)

        def stacked(field: str, fill: float) -> torch.Tensor:
            return torch.tensor([each[field] + [fill] * (most - len(each[field])) for each in kept])

        stack = (stacked("tokens", -1), stacked("expert", -math.inf), stacked("amateur", 0.0))
        self._stacks[adapter] = (*stack, torch.tensor([each["sums"] for each in kept]))
        return self._stacks[adapter]

    def _answer(self, row, place, favourite, tokens, expert, amateur, sums) -> Answer:
        chosen = self.text(int(tokens[row, place]))
        if place == favourite:
            return Answer(chosen, 1)
        chances = [float((logits[row, at] - sums[row, which]).exp()) for logits, which, at in (
            (expert, 0, place), (amateur, 1, place), (expert, 0, favourite))]  # fmt: skip
        other = self.text(int(tokens[row, favourite]))
        return Answer(chosen, 1, [Change(0, chosen, chances[0], chances[1], other, chances[2])])

    def text(self, token: int) -> str:
        """A token's text, nothing where it is a special one."""
        return self._tokenizer.decode([token], skip_special_tokens=True)


def _keeping(row: list[torch.Tensor]):
    def keep(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        row.append(scores[0].float().cpu().clone())
        return scores

    return keep


def _kept(expert: torch.Tensor, amateur: torch.Tensor) -> dict[str, list]:
    tokens = (expert >= expert.max() + math.log(FLOOR)).nonzero()[:, 0]
    return {
        "tokens": tokens.tolist(),
        "expert": expert[tokens].tolist(),
        "amateur": amateur[tokens].tolist(),
        "sums": [float(expert.logsumexp(0)), float(amateur.logsumexp(0))],
    }
