"""BGMV on CPU tensors, by matrix products, with a row's bits independent of the other rows."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

ALIGNMENT = 64
"""Bytes. Where a row starts within a vector changes the order in which it is summed."""
LEAST = 12
"""Rows and columns of an expanding product, at least. For fewer, and for no other number, MKL has routines that sum in
another order; found by comparing rows of 40,000 random products with the same rows in other batches."""


@torch.no_grad()
def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, slots: list[int], scale: float) -> None:
    """``y[t] = scale * a[slots[t]] @ x[t]`` in float32, rows of zeros where the slot is -1."""
    if -1 in slots:
        y.zero_()
    for slot, rows in _rows_by_slot(slots):
        product = _row_by_row(_take(x, rows), a[slot])
        if scale != 1.0:
            product *= scale
        _put(y, rows, product)


@torch.no_grad()
def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, slots: list[int], add: bool) -> None:
    """``y[t] = b[slots[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone."""
    for slot, rows in _rows_by_slot(slots):
        product = _together(x, rows, b[slot])
        if add:
            product += _take(y, rows)
        _put(y, rows, product)


def _row_by_row(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights.T`` in float32, a product of its own for each row: [rows, K] times [N, K], for large K.

    Each is the same call whatever their number, and with few rows as fast as one for all of them.
    """
    (count, inner), outputs = x.shape, weights.shape[0]
    x, weights = x.float(), weights.float()
    if missing := -inner % (ALIGNMENT // x.element_size()):
        x, weights = F.pad(x, (0, missing)), F.pad(weights, (0, missing))
    x, weights = x.contiguous(), weights.contiguous()
    if x.data_ptr() % ALIGNMENT:
        x = x.clone()
    return torch.bmm(x[:, None], weights.T.expand(count, inner + missing, outputs))[:, 0]


def _together(x: torch.Tensor, rows: list[int], weights: torch.Tensor) -> torch.Tensor:
    """``x[rows] @ weights.T`` in float32, for small K."""
    count, (outputs, inner) = len(rows), weights.shape
    x = _take(x, rows + rows[:1] * (LEAST - count)).float().contiguous()
    weights = weights.float().contiguous()
    if outputs < LEAST and (outputs % 4 or inner % 4):
        weights = F.pad(weights, (0, 0, 0, LEAST - outputs))
    return torch.mm(x, weights.T)[:count, :outputs]


def _rows_by_slot(slots: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Each slot that is used, and its rows."""
    rows: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        rows.setdefault(slot, []).append(row)
    rows.pop(-1, None)
    return iter(rows.items())


def _take(tensor: torch.Tensor, rows: list[int]) -> torch.Tensor:
    first, last = rows[0], rows[-1]
    if last - first == len(rows) - 1:
        return tensor if len(rows) == len(tensor) else tensor[first : last + 1]
    return tensor.index_select(0, torch.tensor(rows))


def _put(tensor: torch.Tensor, rows: list[int], values: torch.Tensor) -> None:
    first, last = rows[0], rows[-1]
    if last - first == len(rows) - 1:
        tensor[first : last + 1] = values
    else:
        tensor.index_copy_(0, torch.tensor(rows), values.to(tensor.dtype))
