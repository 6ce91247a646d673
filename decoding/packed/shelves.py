"""Keys and values of rows of any lengths, kept together as far as their lengths are alike, and written in place."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import torch

from ..model.room import BLOCK, EMPTY, room, room_of_window


class Shelf:
    """Rows with room for equally many tokens: keys and values ``[rows, heads, tokens, size]`` of some layers."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.rows: list[Hashable] = []
        self._allocated = 0
        self._tensors: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def of_layer(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's tensors; ``keys`` and ``values`` ``[1, heads, any, size]`` are what they are made like.

        They begin as zeros: what is masked is multiplied by nothing, which makes no number of what is none.
        """
        if layer not in self._tensors:
            self._tensors[layer] = tuple(
                new.new_zeros(self._allocated, new.shape[1], self.tokens, new.shape[3]) for new in (keys, values)
            )
        return self._tensors[layer]

    def join(self, rows: Iterable[Hashable]) -> None:
        """Make places for rows, which hold nothing yet."""
        self.rows += rows
        if len(self.rows) > self._allocated:
            self._allocate(len(self.rows))

    def leave(self, place: int) -> None:
        """Take a row out; the last one moves to its place, and what it leaves is zeros again: a row may hold NaN."""
        last = len(self.rows) - 1
        for pair in self._tensors.values():
            for tensor in pair:
                if place < last:
                    tensor[place] = tensor[last]
                tensor[last].zero_()
        self.rows[place] = self.rows[last]
        self.rows.pop()
        if len(self.rows) < EMPTY * self._allocated:
            self._allocate(len(self.rows))

    def copy(self, place: int, source: "Shelf", source_place: int, tokens: int) -> None:
        """Take over a row's first tokens from another shelf."""
        for layer, pair in source._tensors.items():
            for mine, theirs in zip(self.of_layer(layer, *pair), pair, strict=True):
                mine[place, :, :tokens] = theirs[source_place, :, :tokens]

    def shift(self, place: int, tokens: int, kept: int) -> None:
        """Forget all but the last of a row's tokens."""
        for pair in self._tensors.values():
            for tensor in pair:
                tensor[place, :, :kept] = tensor[place, :, tokens - kept : tokens].clone()

    @property
    def held_bytes(self) -> int:
        return sum(tensor.nbytes for pair in self._tensors.values() for tensor in pair)

    def _allocate(self, rows: int) -> None:
        used = min(rows, self._allocated)
        self._allocated = rows
        for layer, pair in self._tensors.items():
            grown = tuple(tensor.new_zeros(rows, *tensor.shape[1:]) for tensor in pair)
            for new, old in zip(grown, pair, strict=True):
                new[:used] = old[:used]
            self._tensors[layer] = grown


@dataclass
class Place:
    """Where a row's keys and values are.

    Args:
        shelf, index: The shelf, and the place in it.
        held: Tokens that are there: the last ones of the row.
        seen: Tokens that the row has had.
    """

    shelf: Shelf
    index: int
    held: int = 0
    seen: int = 0


class Shelves:
    """Places of rows in the layers that look equally far back.

    Args:
        window: Tokens that a query sees, its own among them; None for all.
    """

    def __init__(self, window: int | None = None) -> None:
        self.window = window
        self.places: dict[Hashable, Place] = {}
        self._shelves: dict[tuple[Hashable, int], Shelf] = {}
        self._kinds: dict[Hashable, Hashable] = {}

    def open(self, row: Hashable, kind: Hashable) -> None:
        """A new row; those of one kind are mostly fed together, and stand together."""
        self._kinds[row] = kind

    def close(self, row: Hashable) -> None:
        """Forget a row."""
        del self._kinds[row]
        if place := self.places.pop(row, None):
            self._leave(place)

    def make_room(self, fed: Mapping[Hashable, int]) -> None:
        """Before so many tokens are written for the rows: more than a window's are not all kept."""
        moving: dict[tuple[Hashable, int], list[Hashable]] = {}
        for row, count in fed.items():
            place = self.places.get(row)
            held = place.held if place else 0
            if place and held + count <= place.shelf.tokens:
                continue
            wanted = room(held + count)
            if self.window is not None:
                most = room_of_window(self.window)
                if place and place.shelf.tokens == most:
                    kept = min(held, self.window - 1)
                    place.shelf.shift(place.index, held, kept)
                    place.held = kept
                    continue
                wanted = min(wanted, most)
            moving.setdefault((self._kinds[row], wanted), []).append(row)
        for key, rows in moving.items():
            rows += self._followers(rows, key[1])
            self._move(rows, self._shelves.setdefault(key, Shelf(key[1])))

    def take_back(self, row: Hashable, count: int) -> None:
        """Forget the last tokens that were written."""
        place = self.places[row]
        place.held, place.seen = place.held - count, place.seen - count
        if self.window is not None and place.held < min(place.seen, self.window - 1):
            raise RuntimeError(f"{count} tokens are taken back, and the window's earlier ones are gone")

    @property
    def held_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(shelf.held_bytes for shelf in self._shelves.values())

    def _followers(self, rows: list[Hashable], tokens: int) -> list[Hashable]:
        """Rows that will soon move where these move to; together they are copied once, not one after the other."""
        shelves = {id(place.shelf): place.shelf for row in rows if (place := self.places.get(row))}
        near = [shelf for shelf in shelves.values() if room(shelf.tokens + 1) == tokens]
        return [
            row
            for shelf in near
            for row in shelf.rows
            if row not in rows and self.places[row].held >= shelf.tokens - BLOCK
        ]

    def _move(self, rows: list[Hashable], target: Shelf) -> None:
        first = len(target.rows)
        target.join(rows)
        for index, row in enumerate(rows, first):
            place = self.places.get(row)
            if place is None:
                self.places[row] = Place(target, index)
                continue
            target.copy(index, place.shelf, place.index, place.held)
            self._leave(place)
            place.shelf, place.index = target, index

    def _leave(self, place: Place) -> None:
        place.shelf.leave(place.index)
        if place.index < len(place.shelf.rows):
            self.places[place.shelf.rows[place.index]].index = place.index
        if not place.shelf.rows:
            self._shelves = {key: shelf for key, shelf in self._shelves.items() if shelf is not place.shelf}
