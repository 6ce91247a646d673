"""The tokens that an adapted layer is given, and whose adapter each has."""

import functools
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch

LONG = 8
"""Tokens in a row of one slot, on average, from which on a product for each such run costs less than to gather tokens:
of 3 us a run against two copies of what the layer returns."""


@dataclass(eq=False)
class Runs:
    """Tokens slot by slot, for products on the CPU.

    Args:
        order: Which token stands where; None if they stay as they are.
        back: Where each token is then.
        slots: Of each run of tokens, -1 for those that have none.
        counts: Tokens of each run.
    """

    order: torch.Tensor | None
    back: torch.Tensor | None
    slots: tuple[int, ...]
    counts: tuple[int, ...]

    def inputs(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        """Each run's rows of a layer's input ``[…, in]``; gathered once for the layers that are given it in turn."""
        if self.order is None:
            return self.split(x.reshape(-1, x.shape[-1]))
        last = _gathered.last
        if last is not None and last[0] is self and last[1] is x and last[2] == x._version:
            return last[3]
        rows = self.split(x.reshape(-1, x.shape[-1]).index_select(0, self.order))
        _gathered.last = None if x.is_inference() else (self, x, x._version, rows)  # which has no version
        return rows

    def split(self, rows: torch.Tensor) -> Sequence[torch.Tensor]:
        """Each run's, of rows that are in order."""
        return (rows,) if len(self.counts) == 1 else rows.split(self.counts)


class _Gathered(threading.local):
    """What this thread has gathered last."""

    last: tuple[Runs, torch.Tensor, int, Sequence[torch.Tensor]] | None = None


_gathered = _Gathered()


class Tokens:
    """Tokens in the order in which a layer is given them.

    Args:
        slots: Each token's slot, ``[n]`` int64, -1 for none.
    """

    def __init__(self, slots: torch.Tensor) -> None:
        self.slots = slots
        self._runs: dict[frozenset[int], Runs] = {}

    @functools.cached_property
    def _listed(self) -> list[int]:
        return self.slots.tolist()

    def runs(self, held: frozenset[int]) -> Runs:
        """The tokens by slot, those of slots that are not held as those at -1."""
        found = self._runs.get(held)
        if found is None:
            found = self._runs[held] = _runs([slot if slot in held else -1 for slot in self._listed])
        return found


def _runs(slots: list[int]) -> Runs:
    together = [(slot, len(list(run))) for slot, run in itertools.groupby(slots)]
    if len(together) == len(set(slots)) or len(slots) >= LONG * len(together):
        return Runs(None, None, *zip(*together, strict=True)) if slots else Runs(None, None, (), ())
    order = sorted(range(len(slots)), key=lambda token: (slots[token] < 0, slots[token]))
    back = sorted(range(len(slots)), key=order.__getitem__)
    by_slot = [(slot, len(list(run))) for slot, run in itertools.groupby(slots[token] for token in order)]
    with torch.inference_mode(False):
        order, back = torch.tensor(order, device="cpu"), torch.tensor(back, device="cpu")
    return Runs(order, back, *zip(*by_slot, strict=True))
