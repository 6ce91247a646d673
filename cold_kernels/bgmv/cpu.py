"""BGMV on CPU tensors: a matrix product for each adapter's rows, with a row's bits independent of the other rows."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

LEAST = 12
"""Rows and columns of a product, at least. For fewer, and for no other number, MKL has routines that sum in another
order; found by comparing rows of 40,000 random products with the same rows in other batches."""


@torch.no_grad()
def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, slots: list[int], scale: float) -> None:
    """``y[t] = scale * a[slots[t]] @ x[t]`` in float32, rows of zeros where the slot is -1."""
    y.zero_()
    for slot, rows in _rows_by_slot(slots):
        y[rows] = _product(x[rows], a[slot]).mul_(scale)


@torch.no_grad()
def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, slots: list[int], add: bool) -> None:
    """``y[t] = b[slots[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone."""
    for slot, rows in _rows_by_slot(slots):
        product = _product(x[rows], b[slot])
        y[rows] = (product.add_(y[rows]) if add else product).to(y.dtype)


def _product(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights.T`` in float32: [rows, K] times [N, K]; a row's bits depend on that row and the weights alone."""
    (rows, inner), outputs = x.shape, weights.shape[0]
    x, weights = x.float().contiguous(), weights.float().contiguous()
    if rows < LEAST:
        x = F.pad(x, (0, 0, 0, LEAST - rows))
    if outputs < LEAST and (outputs % 4 or inner % 4):
        weights = F.pad(weights, (0, 0, 0, LEAST - outputs))
    return torch.mm(x, weights.T)[:rows, :outputs]


def _rows_by_slot(slots: list[int]) -> Iterator[tuple[int, slice | torch.Tensor]]:
    """Each slot that is used, and its rows: a slice where they follow one another."""
    rows: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        rows.setdefault(slot, []).append(row)
    rows.pop(-1, None)
    for slot, listed in rows.items():
        first, end = listed[0], listed[-1] + 1
        yield slot, slice(first, end) if end - first == len(listed) else torch.tensor(listed)
