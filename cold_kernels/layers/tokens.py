"""The tokens that an adapted layer is given, and whose adapter each has."""

import functools

import torch

from ..bgmv import cpu


class Tokens:
    """Tokens in the order in which a layer is given them.

    Args:
        slots: Each token's slot, ``[n]`` int64, -1 for none.
    """

    def __init__(self, slots: torch.Tensor) -> None:
        self.slots = slots
        self._grouped: dict[frozenset[int], cpu.Grouped] = {}

    @functools.cached_property
    def _listed(self) -> tuple[int, ...]:
        return tuple(self.slots.tolist())

    def grouped(self, held: frozenset[int]) -> cpu.Grouped:
        """The tokens of these slots, slot by slot, for products on the CPU; the others are as those at -1."""
        found = self._grouped.get(held)
        if found is None:
            slots = self._listed
            if not held.issuperset(slots):
                slots = tuple([slot if slot in held else -1 for slot in slots])
            self._grouped[held] = found = cpu.group(slots)
        return found
