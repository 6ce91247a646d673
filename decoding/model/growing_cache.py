"""The attention cache of padded rows: written in place, and left by rows without a copy of the others."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from .room import EMPTY, room, room_of_window


class _Kept:
    """Keys or values ``[rows, heads, tokens, size]``, with room for more tokens."""

    def __init__(self, window: int | None) -> None:
        self._window, self._tensor, self._first, self._end = window, None, 0, 0

    @property
    def now(self) -> torch.Tensor:
        return self._tensor[:, :, self._first : self._end]

    @property
    def nbytes(self) -> int:
        return 0 if self._tensor is None else self._tensor.untyped_storage().nbytes()

    def add(self, new: torch.Tensor) -> torch.Tensor:
        """Keep new tokens; gives them with all that were kept, of which a window's are kept on."""
        held, count = self._end - self._first, new.shape[2]
        most = None if self._window is None else room_of_window(self._window)
        if most is not None and held + count > most:
            whole = torch.cat([self.now, new], 2) if held else new
            self._tensor, self._first, self._end = None, 0, 0
            self.add(whole[:, :, -self._window + 1 :])
            return whole
        if self._tensor is None or self._end + count > self._tensor.shape[2]:
            self._make_room(new, held, count, most)
        self._tensor[:, :, self._end : self._end + count] = new
        self._end += count
        whole = self.now
        if self._window is not None:
            self._first = max(self._first, self._end - self._window + 1)
        return whole

    def keep(self, moves: Sequence[tuple[int, int]], rows: int) -> None:
        """Move some rows to the places of others, and keep the first ``rows``."""
        for source, target in moves:
            self._tensor[target] = self._tensor[source]
        kept = self._tensor[:rows]
        self._tensor = kept.clone() if kept.nbytes < EMPTY * self.nbytes else kept

    def _make_room(self, new: torch.Tensor, held: int, count: int, most: int | None) -> None:
        tokens = room(held + count) if most is None else min(room(held + count), most)
        grown = new.new_empty(*new.shape[:2], tokens, new.shape[3])
        if held:
            grown[:, :, :held] = self.now
        self._tensor, self._first, self._end = grown, 0, held


class _Growing:
    """What both kinds of layers have in common."""

    def _grow(self, window: int | None) -> None:
        self._kept = _Kept(window), _Kept(window)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        whole = tuple(kept.add(new) for kept, new in zip(self._kept, (key_states, value_states), strict=True))
        if self.is_sliding:
            self.cumulative_length += key_states.shape[2]
        self.keys, self.values = (kept.now for kept in self._kept)
        return whole

    def keep(self, moves: Sequence[tuple[int, int]], rows: int) -> None:
        """As `GrowingCache.keep`."""
        if self.is_initialized:
            for kept in self._kept:
                kept.keep(moves, rows)
            self.keys, self.values = (kept.now for kept in self._kept)


class GrowingLayer(_Growing, DynamicLayer):
    """A layer that looks at all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self._grow(None)


class GrowingSlidingLayer(_Growing, DynamicSlidingWindowLayer):
    """A layer that looks at a window."""

    def __init__(self, sliding_window: int) -> None:
        super().__init__(sliding_window)
        self._grow(sliding_window)


class GrowingCache(DynamicCache):
    """The cache that transformers makes for a model, its layers of attention written in place; others are stock."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config=config)
        if self.layer_class_to_replicate is DynamicLayer:
            self.layer_class_to_replicate = GrowingLayer
        for i, layer in enumerate(self.layers):
            if type(layer) is DynamicLayer:
                self.layers[i] = GrowingLayer()
            elif type(layer) is DynamicSlidingWindowLayer:
                self.layers[i] = GrowingSlidingLayer(layer.sliding_window)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Keep some rows; gives them in their new order, in which as few as can be are moved."""
        count, kept = len(rows), set(rows)
        order = list(range(count))
        from_behind = [row for row in rows if row >= count]
        moves = list(zip(from_behind, (place for place in range(count) if place not in kept), strict=True))
        for source, target in moves:
            order[target] = source
        for layer in self.layers:
            if isinstance(layer, _Growing):
                layer.keep(moves, count)
            else:
                layer.reorder_cache(torch.tensor(order))
        return order
