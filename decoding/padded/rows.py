"""Rows in padded passes, for any model: rows that are fed together for the first time stay together to their ends."""

from collections.abc import Mapping, Sequence

import torch

from ..model.feed import Acting, Feed
from ..proof.proof import Proof


class _Group:
    """Rows that share passes: their prompts padded on the left, their cache one."""

    def __init__(self, proof: Proof, rows: list[int], prompts: list[list[int]]) -> None:
        self.rows, self.left = rows, set(rows)
        self._proof, self._cache = proof, proof.forward.new_cache()
        longest = max(map(len, prompts))
        self._mask = self._tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        self._padded = any(len(ids) < longest for ids in prompts)
        self._inputs = self._tensor([[0] * (longest - len(ids)) + ids for ids in prompts])

    def forward(self, slots: list[int], acting: Acting) -> torch.Tensor:
        """Logits ``[rows, V]`` after the tokens that the rows were given last."""
        rows, tokens = self._inputs.shape
        positions = (self._mask.cumsum(1) - 1).clamp(0)[:, -tokens:]
        adapted = self._tensor(slots).repeat_interleave(tokens) if any(slot >= 0 for slot in slots) else None
        held, mask = self._proof.extent(self._cache), self._mask if self._padded else None
        with acting(adapted, (rows, tokens), 1):
            logits = self._proof.forward(self._inputs, self._cache, mask, positions)[:, -1]
        self._proof.check_grown(self._cache, held, tokens)
        return logits

    def follow(self, tokens: Mapping[int, list[int]]) -> None:
        """Give each row that is left its next tokens, equally many."""
        if len(self.left) < len(self.rows):
            order = self._cache.keep([i for i, row in enumerate(self.rows) if row in self.left])
            self.rows, self._mask = [self.rows[i] for i in order], self._mask[order]
        self._inputs = self._tensor([tokens[row] for row in self.rows])
        self._mask = torch.cat([self._mask, self._mask.new_ones(self._inputs.shape)], 1)

    def _tensor(self, values: list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._proof.forward.model.device)


class PaddedRows:
    """Rows of any model.

    Args:
        proof: Of the model, which has adapters injected by now.
    """

    packs = False

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
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
        self.restart(row)
        del self._slots[row]

    def restart(self, row: int) -> None:
        """Forget a row's tokens, which are fed again; those of all rows of its group must be."""
        for group in self._groups:
            group.left.discard(row)
        self._groups = [group for group in self._groups if group.left]

    def forward(self, feeds: Sequence[Feed], acting: Acting) -> torch.Tensor:
        """A pass for each group; logits ``[feeds, V]``. All rows are fed."""
        tokens = {feed.row: feed.tokens for feed in feeds}
        new = tokens.keys() - {row for group in self._groups for row in group.rows}
        for group in self._groups:
            group.follow(tokens)
        by_length: dict[int, list[int]] = {}
        for row in sorted(new):
            by_length.setdefault(0 if self._proof.pads else len(tokens[row]), []).append(row)
        for rows in by_length.values():
            self._groups.append(_Group(self._proof, rows, [tokens[row] for row in rows]))
        logits = {}
        for group in self._groups:
            found = group.forward([self._slots[row] for row in group.rows], acting)
            logits |= zip(group.rows, found, strict=True)
        return torch.stack([logits[feed.row] for feed in feeds])
