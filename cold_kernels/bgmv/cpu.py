"""BGMV on CPU tensors, by matrix products, with a row's bits independent of the other rows."""

import functools

import torch
import torch.nn.functional as F

ALIGNMENT = 64
"""Bytes. Where a row starts within a vector changes the order in which it is summed."""
BATCHED = 400
"""Multiplications of a product from which on torch hands it to the BLAS library also as one of a batch; below, ATen has
a loop of its own (LinearAlgebra.cpp). Seen as well: of 15,000 random products, rows differ below it alone."""
LEAST = 12
"""Rows and columns of an expanding product, at least. For fewer, and for no other number, MKL has routines that sum in
another order; found by comparing rows of 40,000 random products with the same rows in other batches."""
SINGLE = 4
"""Rows that a single row is repeated to: enough for the first of them to be summed as among `LEAST`."""


def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], scale: float) -> None:
    """``y[t] = scale * a[slots[t]] @ x[t]`` in float32, rows of zeros where the slot is -1."""
    if -1 in slots:
        y.zero_()
    for slot, rows in _rows_by_slot(slots):
        product = _row_by_row(x[rows], a[slot])
        if scale != 1.0:
            product *= scale
        y[rows] = product


def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], add: bool) -> None:
    """``y[t] = b[slots[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone."""
    for slot, rows in _rows_by_slot(slots):
        product = _together(x[rows], b[slot])
        if add and y.dtype == torch.float32 and isinstance(rows, slice):
            y[rows].add_(product)  # the same sum, in place: the way of a decode step
        else:
            y[rows] = (product.add_(y[rows]) if add else product).to(y.dtype)


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
    if count == 1 and inner * outputs >= BATCHED:
        return F.linear(x, weights)  # what the batched product does with each row
    return torch.bmm(x[:, None], weights.T.expand(count, inner + missing, outputs))[:, 0]


def _together(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights.T`` in float32, for small K."""
    (count, inner), outputs = x.shape, weights.shape[0]
    x, weights = x.float().contiguous(), weights.float().contiguous()
    if count == 1:
        x = x.expand(SINGLE, inner)
    elif count < LEAST:
        x = F.pad(x, (0, 0, 0, LEAST - count))
    if outputs < LEAST:
        weights = F.pad(weights, (0, 0, 0, LEAST - outputs))
    product = torch.mm(x, weights.T)
    return product if product.shape == (count, outputs) else product[:count, :outputs]


@functools.lru_cache(maxsize=256)
def _rows_by_slot(slots: tuple[int, ...]) -> tuple[tuple[int, slice | torch.Tensor], ...]:
    """Each slot that is used, and its rows: a slice where they follow one another."""
    rows: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        rows.setdefault(slot, []).append(row)
    rows.pop(-1, None)
    return tuple((slot, _sliced(listed)) for slot, listed in rows.items())


def _sliced(rows: list[int]) -> slice | torch.Tensor:
    first, end = rows[0], rows[-1] + 1
    return slice(first, end) if end - first == len(rows) else torch.tensor(rows)
