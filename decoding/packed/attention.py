"""Attention of a packed pass: tokens of many rows one after another, each looking at its own row alone."""

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention

from .shelves import Place, Shelf, Shelves

MOSTLY = 0.5
"""Where at least so many of a shelf's rows are fed, all of them are attended to, the others for nothing."""


Pair = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of a pass's tokens, ``[1, heads, tokens, size]``."""


@dataclass(frozen=True)
class Fed:
    """A row's tokens in a pass: the pass's tokens from ``first``, ``count`` of them."""

    row: Hashable
    first: int
    count: int


class Singles:
    """Rows of one shelf that are fed a token each: one attention over the shelf.

    Args:
        fed: The rows, with their places; in order of their indices.
    """

    def __init__(
        self, shelf: Shelf, fed: Sequence[tuple[Fed, Place]], window: int | None, device: torch.device
    ) -> None:
        index = functools.partial(torch.tensor, device=device)
        indices, held = [place.index for _, place in fed], [place.held for _, place in fed]
        first, end = indices[0], indices[-1] + 1
        self.shelf, self.rows, self.among = shelf, slice(first, end), None
        if end - first > len(fed):
            self.among = index([i - first for i in indices])
        self.tokens = _slice_or_index([each.first for each, _ in fed], index)
        ends = [n + 1 for n in held]
        starts = [0 if window is None else max(0, n - window) for n in ends]
        self.seen = slice(min(starts), max(ends))
        alike = len(set(held)) == 1
        self.written = (self.rows, slice(None), held[0])
        if not alike or self.among is not None:
            self.written = (index(indices), slice(None), held[0] if alike else index(held))
        self.mask = None
        if not alike or self.among is not None:
            seen = torch.zeros(end - first, self.seen.stop - self.seen.start, dtype=torch.bool)
            seen[:, 0] = True  # of rows that are not fed, which would have nothing to look at
            for i, start, stop in zip(indices, starts, ends, strict=True):
                seen[i - first] = False
                seen[i - first, start - self.seen.start : stop - self.seen.start] = True
            self.mask = seen[:, None, None].to(device)

    def attend(self, layer: int, query: torch.Tensor, new: Pair, scale: float | None, output: torch.Tensor) -> None:
        """Keep the rows' ``new`` keys and values, and write what their queries find into ``output``."""
        kept = self.shelf.of_layer(layer, *new)
        for mine, given in zip(kept, new, strict=True):
            mine[self.written] = given[0, :, self.tokens].transpose(0, 1)
        asked = query[0, :, self.tokens].transpose(0, 1)
        count, heads, size = asked.shape
        asked = asked.reshape(count, new[0].shape[1], -1, size)
        if self.among is not None:
            spread = asked.new_zeros(self.rows.stop - self.rows.start, *asked.shape[1:])
            asked = spread.index_copy_(0, self.among, asked)
        if self.mask is not None:
            self.mask = _additive(self.mask, query.dtype)
        keys, values = (each[self.rows, :, self.seen] for each in kept)
        found = scaled_dot_product_attention(asked, keys, values, attn_mask=self.mask, scale=scale)
        if self.among is not None:
            found = found[self.among]
        output[self.tokens] = found.reshape(count, heads, -1)


class Chunk:
    """Several tokens of one row."""

    def __init__(self, fed: Fed, place: Place, window: int | None, device: torch.device) -> None:
        self.shelf, self.index, self.held, self.count = place.shelf, place.index, place.held, fed.count
        self.tokens = slice(fed.first, fed.first + fed.count)
        total = self.held + fed.count
        self.kept = min(total, self.shelf.tokens)
        self.causal = self.held == 0 and (window is None or total <= window)
        self.mask = None
        if not self.causal:
            query, key = torch.arange(self.held, total, device=device)[:, None], torch.arange(total, device=device)
            self.mask = key <= query
            if window is not None:
                self.mask &= key > query - window

    def attend(self, layer: int, query: torch.Tensor, new: Pair, scale: float | None, output: torch.Tensor) -> None:
        """Keep the row's ``new`` keys and values, and write what its queries find into ``output``."""
        kept = self.shelf.of_layer(layer, *new)
        keys, values = (self._keep(mine, given[0, :, self.tokens]) for mine, given in zip(kept, new, strict=True))
        heads, shared = query.shape[1], query.shape[1] // keys.shape[1]
        asked = query[:, :, self.tokens]
        if self.causal:
            found = scaled_dot_product_attention(
                asked, keys, values, is_causal=True, scale=scale, enable_gqa=shared > 1
            )
        else:
            if self.mask.shape[0] < self.count * shared:
                self.mask = _additive(self.mask, query.dtype).repeat(shared, 1)
            self.mask = _additive(self.mask, query.dtype)
            asked = asked.reshape(1, keys.shape[1], shared * self.count, -1)
            found = scaled_dot_product_attention(asked, keys, values, attn_mask=self.mask, scale=scale)
        output[self.tokens] = found.reshape(heads, self.count, -1).transpose(0, 1)

    def _keep(self, kept: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """The keys or values that are looked at, when the new ones have been kept."""
        if self.held + self.count <= self.shelf.tokens:
            kept[self.index, :, self.held : self.kept] = new
            return kept[None, self.index, :, : self.kept] if self.held else new[None]
        whole = torch.cat([kept[self.index, :, : self.held], new], 1)
        kept[self.index, :, : self.kept] = whole[:, -self.kept :]
        return whole[None]


def _slice_or_index(places: list[int], index: Callable) -> slice | torch.Tensor:
    following = places == list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[-1] + 1) if following else index(places)


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores; made once, where torch would make it of a Boolean mask in every layer."""
    if mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def plan(shelves: Shelves, fed: Sequence[Fed], device: torch.device) -> list[Singles | Chunk]:
    """How the tokens of a pass are attended to in layers of one kind; room has been made for them."""
    work: list[Singles | Chunk] = []
    singles: dict[int, list[tuple[Fed, Place]]] = {}
    for each in fed:
        place = shelves.places[each.row]
        if each.count == 1:
            singles.setdefault(id(place.shelf), []).append((each, place))
        else:
            work.append(Chunk(each, place, shelves.window, device))
    for rows in singles.values():
        rows.sort(key=lambda pair: pair[1].index)
        shelf, spread = rows[0][1].shelf, rows[-1][1].index + 1 - rows[0][1].index
        if len(rows) >= MOSTLY * spread:
            work.append(Singles(shelf, rows, shelves.window, device))
        else:
            work += [Singles(shelf, [row], shelves.window, device) for row in rows]
    return work


def written(shelves: Shelves, fed: Sequence[Fed]) -> None:
    """After a pass: its tokens are in the rows."""
    for each in fed:
        place = shelves.places[each.row]
        place.seen += each.count
        place.held = min(place.held + each.count, place.shelf.tokens)
