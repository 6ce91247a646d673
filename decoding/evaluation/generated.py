"""Answers of several tokens, decoded once by each method and kept."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..contrastive_lora import ContrastiveLoRA
from ..requests.request import Request
from .answer import Answer, Change
from .favourite import Favourite
from .journal import Journal

Method = tuple[str | None, float, float]
"""Adapter, alpha and beta; the latter two are 0 where they do nothing."""


class Generated:
    """Answers by methods, as many of them as have been asked for.

    Args:
        prompts: Token ids, by the problem's name.
        journal: Has a record for each answer.
        rows: Texts that are decoded together, at most; CoLD takes two.
    """

    def __init__(
        self,
        cold: ContrastiveLoRA,
        tokenizer: PreTrainedTokenizerBase,
        prompts: dict[str, list[int]],
        journal: Journal,
        max_new_tokens: int,
        rows: int = 32,
    ) -> None:
        self._cold, self._tokenizer, self._prompts, self._journal = cold, tokenizer, prompts, journal
        self._most, self._rows = max_new_tokens, rows
        self._found = {(record["problem"], *record["method"]): record for record in journal.records}

    def ask(self, methods: Sequence[Method]) -> Iterator[tuple[int, int]]:
        """Decode what is missing; gives how many answers are there, of how many."""
        wanted = [(name, *_plain(*method)) for name in self._prompts for method in methods]
        wanted = list(dict.fromkeys(wanted))
        left = [each for each in wanted if each not in self._found]
        done, together = len(wanted) - len(left), []
        for place, each in enumerate(left):
            together.append(each)
            rows = sum(2 if beta else 1 for _, _, _, beta in together)
            if rows >= self._rows - 1 or place == len(left) - 1:
                self._decode(together)
                done, together = done + len(together), []
                yield done, len(wanted)

    def answers(self, adapter: str | None, alpha: float, beta: float) -> list[Answer]:
        """Of all problems; what is missing is decoded."""
        for _ in self.ask([(adapter, alpha, beta)]):
            pass
        found = (self._found[(name, *_plain(adapter, alpha, beta))] for name in self._prompts)
        return [Answer(each["text"], each["length"], [Change(*change) for change in each["changes"]]) for each in found]

    def _decode(self, together: list[tuple[str, str | None, float, float]]) -> None:
        seen = [Favourite() if beta else None for _, _, _, beta in together]
        requests = [
            Request(
                self._prompts[name], adapter, alpha or 1.0, beta, self._most,
                logprobs=bool(beta), logits_processor=[favourite] if beta else [],
            )
            for (name, adapter, alpha, beta), favourite in zip(together, seen, strict=True)
        ]  # fmt: skip
        for (name, *method), favourite, result in zip(together, seen, self._cold.generate(requests), strict=True):
            record: dict[str, Any] = {
                "problem": name,
                "method": method,
                "text": self._tokenizer.decode(result.tokens, skip_special_tokens=True),
                "length": len(result.tokens),
                "changes": self._changes(result, favourite),
            }
            self._journal.add(record)
            self._found[(name, *method)] = record

    def _changes(self, result, favourite: Favourite | None) -> list[Change]:
        if favourite is None:
            return []
        steps = zip(result.tokens, favourite.steps, result.expert_logprobs, result.amateur_logprobs)
        return [
            Change(place, self._text(token), math.exp(expert), math.exp(base), self._text(best), chance)
            for place, (token, (best, chance), expert, base) in enumerate(steps)
            if token != best
        ]

    def _text(self, token: int) -> str:
        return self._tokenizer.decode([token])


def _plain(adapter: str | None, alpha: float, beta: float) -> Method:
    """The method without what does nothing."""
    if adapter is None or not beta:
        return adapter, 0.0, 0.0
    return adapter, float(alpha), float(beta)
