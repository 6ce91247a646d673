"""Rows in padded passes, for any model: rows that are fed together for the first time stay together to their ends."""

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from .feed import Feed
from .growing_cache import GrowingCache
from .layers import Injection


class _Group:
    """Rows that share passes: their prompts padded on the left, their cache one."""

    def __init__(self, model: PreTrainedModel, rows: list[int], prompts: list[list[int]]) -> None:
        self.model, self.rows, self.left = model, rows, set(rows)
        self._cache = GrowingCache(model.config)
        longest = max(map(len, prompts))
        self._mask = self._tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        self._padded = any(len(ids) < longest for ids in prompts)
        self._inputs = self._tensor([[0] * (longest - len(ids)) + ids for ids in prompts])

    def forward(self, slots: list[int], injection: Injection) -> torch.Tensor:
        """Logits ``[rows, V]`` after the tokens that the rows were given last."""
        rows, tokens = self._inputs.shape
        positions = (self._mask.cumsum(1) - 1).clamp(0)[:, -tokens:]
        acting = None
        if any(slot >= 0 for slot in slots):
            acting = self._tensor(slots).repeat_interleave(tokens)
        with injection.acting(acting, (rows, tokens), 1):
            return self.model(
                input_ids=self._inputs,
                attention_mask=self._mask if self._padded else None,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]

    def follow(self, tokens: Mapping[int, list[int]]) -> None:
        """Give each row that is left its next tokens, equally many."""
        if len(self.left) < len(self.rows):
            order = self._cache.keep([i for i, row in enumerate(self.rows) if row in self.left])
            self.rows, self._mask = [self.rows[i] for i in order], self._mask[order]
        self._inputs = self._tensor([tokens[row] for row in self.rows])
        self._mask = torch.cat([self._mask, self._mask.new_ones(self._inputs.shape)], 1)

    def _tensor(self, values: list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.model.device)


class PaddedRows:
    """Rows of any model.

    Args:
        model: The model, with adapters injected.
        pads: Whether prompts of different lengths may share a pass.
    """

    packs = False

    def __init__(self, model: PreTrainedModel, pads: bool = True) -> None:
        self.model, self._pads = model, pads
        self._slots: dict[int, int] = {}
        self._groups: list[_Group] = []
        self._next = 0

    def open(self, slot: int) -> int:
        """A new row, with the adapter of a slot; -1 for the base model."""
        row, self._next = self._next, self._next + 1
        self._slots[row] = slot
        return row

    def close(self, row: int) -> None:
        """Forget a row."""
        del self._slots[row]
        for group in self._groups:
            group.left.discard(row)
        self._groups = [group for group in self._groups if group.left]

    def forward(self, feeds: Sequence[Feed], injection: Injection) -> torch.Tensor:
        """A pass for each group; logits ``[feeds, V]``. All rows are fed."""
        tokens = {feed.row: feed.tokens for feed in feeds}
        new = tokens.keys() - {row for group in self._groups for row in group.rows}
        for group in self._groups:
            group.follow(tokens)
        by_length: dict[int, list[int]] = {}
        for row in sorted(new):
            by_length.setdefault(0 if self._pads else len(tokens[row]), []).append(row)
        for rows in by_length.values():
            self._groups.append(_Group(self.model, rows, [tokens[row] for row in rows]))
        logits = {}
        for group in self._groups:
            found = group.forward([self._slots[row] for row in group.rows], injection)
            logits |= zip(group.rows, found, strict=True)
        return torch.stack([logits[feed.row] for feed in feeds])
