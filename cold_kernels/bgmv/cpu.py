"""BGMV on CPU tensors, by matrix products, with a row's bits independent of the other rows."""

import functools
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F

ALIGNMENT = 64
"""Bytes. Where a row starts within a vector changes the order in which it is summed."""
BATCHED = 400
"""Multiplications of a product from which on torch hands it to the BLAS library also as one of a batch; below, ATen has
a loop of its own (LinearAlgebra.cpp). Seen as well: of 15,000 random products, rows differ below it alone."""
MIN_SIZE = 12
"""Columns of an expanding product, at least, and rows from which on any number will do. For fewer, MKL has routines
that sum in another order."""
ROW_MULTIPLE = 4
"""Rows fewer than `MIN_SIZE` must be a multiple of this to be summed as among many; of 5 on two threads the last is
not. Found, as `MIN_SIZE`, by comparing rows of 29,000 random products with the same rows in 375,000 others of 1 to 255
rows, on one and two threads, at any address, and for slices of the columns."""

Rows = None | slice | torch.Tensor
"""Rows of a matrix: all, some that follow one another, or any. To index for all would cost as much as a product."""


def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], scale: float) -> None:
    """``y[t] = scale * a[slots[t]] @ x[t]`` in float32, rows of zeros where the slot is -1."""
    if -1 in slots:
        y.zero_()
    for _, rows, product in shrunk(x, a.mT, rows_by_slot(slots)):
        if scale != 1.0:
            product *= scale
        _write(y, rows, product, add=False)


class Weights:
    """Each slot's matrix ``[N, K]`` out of ``[L, N, K]``, ready to be multiplied by rows ``[n, K]`` many times.

    Args:
        stacked: All slots'; kept in its own type, and in its place unless K is to be filled up.
        fill: Whether rows of K are filled up to whole vectors, as `shrunk` takes them.
    """

    def __init__(self, stacked: torch.Tensor, fill: bool = False) -> None:
        inner = stacked.shape[2]
        if fill and stacked.is_cpu and stacked.dtype == torch.float32:
            stacked = F.pad(stacked, (0, -inner % (ALIGNMENT // stacked.element_size())))
        self.stacked = stacked[..., :inner]
        self.transposed = [matrix.T for matrix in stacked]


def shrunk(
    x: torch.Tensor, a: Sequence[torch.Tensor], by_slot: Iterable[tuple[int, Rows]]
) -> list[tuple[int, Rows, torch.Tensor]]:
    """Of each slot the rows, by `rows_by_slot`, and their products with its A: what `shrink` writes into one matrix."""
    return [(slot, rows, _row_by_row(_part(x, rows), a[slot])) for slot, rows in by_slot]


def expand_shrunk(
    b: Sequence[torch.Tensor], products: list[tuple[int, Rows, torch.Tensor]], ranks: slice, y: torch.Tensor
) -> None:
    """Add the products of each slot's B with these ranks of what `shrunk` gives, as `expand` does."""
    for slot, rows, product in products:
        _write(y, rows, _together(product[:, ranks], b[slot]), add=True)


def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], add: bool) -> None:
    """``y[t] = b[slots[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone."""
    for slot, rows in rows_by_slot(slots):
        _write(y, rows, _together(_part(x, rows), b[slot].T), add)


def shrink_expand(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    y: torch.Tensor,
    slots: tuple[int, ...],
    starts: list[int],
    scale: float,
    add: bool,
) -> None:
    """`shrink` by all slices' A ``[L, S, R, H]``, then an `expand` into the columns from each start to the next."""
    rank = a.shape[2]
    low = x.new_empty(len(slots), a.shape[1] * rank, dtype=torch.float32)
    shrink(x, a.flatten(1, 2), low, slots, scale)
    for place, (start, end) in enumerate(zip(starts, [*starts[1:], y.shape[1]], strict=True)):
        if start < end:
            part = low[:, place * rank : (place + 1) * rank]
            expand(b[:, start:end], part, y[:, start:end], slots, add)


def _part(tensor: torch.Tensor, rows: Rows) -> torch.Tensor:
    return tensor if rows is None else tensor[rows]


def _write(y: torch.Tensor, rows: Rows, product: torch.Tensor, add: bool) -> None:
    """``y[rows] = product (+ y[rows])`` in float32, then rounded to y."""
    if isinstance(rows, torch.Tensor):
        y[rows] = (product + y[rows] if add else product).to(y.dtype)
        return
    part = _part(y, rows)
    if add:
        part.add_(product)
    else:
        part.copy_(product)


def _row_by_row(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights`` in float32, a product of its own for each row: [rows, K] times [K, N], for large K.

    Each is the same call whatever their number, and with few rows as fast as one for all of them. The weights are the
    transpose of [N, K], and K may have been filled up.
    """
    (count, inner), outputs = x.shape, weights.shape[1]
    x, weights = x.float(), weights.float()
    if missing := -inner % (ALIGNMENT // x.element_size()):
        x = F.pad(x, (0, missing))
        if weights.shape[0] == inner:
            weights = F.pad(weights.T, (0, missing)).T
    x, weights = x.contiguous(), _transposed(weights)
    if x.data_ptr() % ALIGNMENT:
        x = x.clone()
    if count == 1 and inner * outputs >= BATCHED:
        return torch.mm(x, weights)  # what the batched product does with each row
    return torch.bmm(x.unsqueeze(1), weights.expand(count, inner + missing, outputs)).squeeze(1)


def _together(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights`` in float32, for small K; the weights are the transpose of [N, K]."""
    count, outputs = x.shape[0], weights.shape[1]
    x, weights = x.float().contiguous(), _transposed(weights.float())
    if count < MIN_SIZE and count % ROW_MULTIPLE:
        if count == 1:
            x = torch.cat((x,) * ROW_MULTIPLE)  # quicker than to pad
        else:
            x = F.pad(x, (0, 0, 0, -count % ROW_MULTIPLE))
    if outputs < MIN_SIZE:
        weights = F.pad(weights.T, (0, 0, 0, MIN_SIZE - outputs)).T
        return torch.mm(x, weights)[:count, :outputs]
    product = torch.mm(x, weights)
    return product if len(x) == count else product[:count]


def _transposed(weights: torch.Tensor) -> torch.Tensor:
    """The transpose of a matrix that is contiguous, as all are that are multiplied."""
    return weights if weights.stride() == (1, weights.shape[0]) else weights.T.contiguous().T


@functools.lru_cache(maxsize=256)
def rows_by_slot(slots: tuple[int, ...]) -> tuple[tuple[int, Rows], ...]:
    """Each slot that is used, and its rows."""
    rows: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        rows.setdefault(slot, []).append(row)
    rows.pop(-1, None)
    return tuple((slot, _of(listed, len(slots))) for slot, listed in rows.items())


def _of(rows: list[int], count: int) -> Rows:
    if len(rows) == count:
        return None
    first, end = rows[0], rows[-1] + 1
    return slice(first, end) if end - first == len(rows) else torch.tensor(rows, device="cpu")
