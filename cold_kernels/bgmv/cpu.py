"""BGMV on CPU tensors, by matrix products, with a row's bits independent of the other rows."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Grouped:
    """The rows of a matrix that have a slot, those of one slot beside each other in the order that they had.

    Args:
        rows: Where they are in the matrix, slot by slot.
        slots: Each slot that is used.
        counts: How many rows each has.
        summed: How many rows each part of an expanding product has, so that rows are summed as among many.
        ordered: Where the rows are in the matrix, in its order.
        back: Where each of these is in an expanding product.
    """

    rows: Rows
    slots: tuple[int, ...]
    counts: tuple[int, ...]
    summed: tuple[int, ...]
    ordered: Rows
    back: Rows


def shrink(x: torch.Tensor, a: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], scale: float) -> None:
    """``y[t] = scale * a[slots[t]] @ x[t]`` in float32, rows of zeros where the slot is -1."""
    if -1 in slots:
        y.zero_()
    grouped = group(slots)
    if products := _shrunk(x, a.mT, grouped):
        product = products[0] if len(products) == 1 else torch.cat(products)
        if scale != 1.0:
            product *= scale
        if isinstance(grouped.rows, torch.Tensor):
            y[grouped.rows] = product
        else:
            _part(y, grouped.rows).copy_(product)


def _shrunk(x: torch.Tensor, a: torch.Tensor, grouped: Grouped) -> list[torch.Tensor]:
    """For each part of the rows their products with its slot's A, the transpose of ``[N, K]``."""
    if not grouped.slots:
        return []
    x = _filled(_part(x, grouped.rows)).unsqueeze(1)
    parts = _split(x, grouped.counts)
    return [_row_by_row(part, a[slot]) for slot, part in zip(grouped.slots, parts, strict=True)]


def expand(b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, slots: tuple[int, ...], add: bool) -> None:
    """``y[t] = b[slots[t]] @ x[t] (+ y[t])`` in float32, then rounded to y; rows at -1 are left alone."""
    grouped = group(slots)
    if grouped.slots:
        low = _split(_part(x, grouped.rows).float().contiguous(), grouped.counts)
        _write(y, grouped.ordered, _expanded(low, b.mT, grouped, (y.shape[1],)), add)


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
    grouped, first = group(slots), starts[0]
    low = _shrunk(x, a.flatten(1, 2).mT, grouped)
    if not low or first == y.shape[1]:
        return
    if scale != 1.0:
        torch._foreach_mul_(low, scale)
    if first:
        y, b = y[:, first:], b[:, first:]
    widths = [end - start for start, end in zip(starts, [*starts[1:], first + y.shape[1]], strict=True)]
    _write(y, grouped.ordered, _expanded(low, b.mT, grouped, widths), add)


def _expanded(low: Sequence[torch.Tensor], b: torch.Tensor, grouped: Grouped, widths: Sequence[int]) -> torch.Tensor:
    """Each part's products with its slot's B, the transpose of ``[N, R]``: ``[n, S * R]`` to slices of these widths."""
    product = low[0].new_empty(sum(grouped.summed), sum(widths))
    for slot, given, part in zip(grouped.slots, low, _split(product, grouped.summed), strict=True):
        if len(given) != len(part):
            given = given.index_select(0, _over_again(len(given), len(part)))
        if len(widths) == 1:
            _together(given, b[slot], part)
            continue
        ranks = given.shape[1] // len(widths)
        for one in zip(given.split(ranks, 1), b[slot].split(widths, 1), part.split(widths, 1), strict=True):
            _together(*one)
    return _part(product, grouped.back)


def _split(tensor: torch.Tensor, counts: tuple[int, ...]) -> Sequence[torch.Tensor]:
    return (tensor,) if len(counts) == 1 else tensor.split(counts)


def _part(tensor: torch.Tensor, rows: Rows) -> torch.Tensor:
    return tensor if rows is None else tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, rows)


def _write(y: torch.Tensor, rows: Rows, product: torch.Tensor, add: bool) -> None:
    """``y[rows] = product (+ y[rows])`` in float32, then rounded to y."""
    if not isinstance(rows, torch.Tensor):
        part = _part(y, rows)
        part.add_(product) if add else part.copy_(product)
    elif add and y.dtype == product.dtype:
        y.index_add_(0, rows, product)
    else:
        y[rows] = (product.add_(y[rows]) if add else product).to(y.dtype)


def _filled(x: torch.Tensor) -> torch.Tensor:
    """Rows of float32, filled up to whole vectors and in whole vectors' places."""
    x = x.float()
    if missing := -x.shape[1] % (ALIGNMENT // x.element_size()):
        x = F.pad(x, (0, missing))
    x = x.contiguous()
    return x.clone() if x.data_ptr() % ALIGNMENT else x


def _row_by_row(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """``x @ weights`` in float32, a product of its own for each row: [rows, 1, K] times [K, N], for large K.

    Each is the same call whatever their number, and with few rows as fast as one for all of them. The rows are from
    `_filled`; the weights are the transpose of [N, K].
    """
    (count, _, inner), outputs = x.shape, weights.shape[1]
    weights = _float(weights)
    if missing := inner - weights.shape[0]:
        weights = F.pad(weights.T, (0, missing)).T
    weights = _transposed(weights)
    if count == 1 and inner * outputs >= BATCHED:
        return torch.mm(x[0], weights)  # what the batched product does with each row
    return torch.bmm(x, weights.expand(count, inner, outputs)).squeeze(1)


def _together(x: torch.Tensor, weights: torch.Tensor, product: torch.Tensor) -> None:
    """``product = x @ weights`` in float32, for small K; the weights are the transpose of [N, K]."""
    weights = _transposed(_float(weights))
    if (outputs := product.shape[1]) >= MIN_SIZE:
        torch.mm(x, weights, out=product)
    elif outputs:
        weights = F.pad(weights.T, (0, 0, 0, MIN_SIZE - outputs)).T
        product.copy_(torch.mm(x, weights)[:, :outputs])


def _float(weights: torch.Tensor) -> torch.Tensor:
    return weights if weights.dtype == torch.float32 else weights.float()


def _transposed(weights: torch.Tensor) -> torch.Tensor:
    """The transpose of a matrix that is contiguous, as all are that are multiplied."""
    return weights if weights.stride() == (1, weights.shape[0]) else weights.T.contiguous().T


@functools.lru_cache(maxsize=256)
def group(slots: tuple[int, ...]) -> Grouped:
    """The rows that have a slot, by it; -1 is none."""
    by_slot: dict[int, list[int]] = {}
    for row, slot in enumerate(slots):
        by_slot.setdefault(slot, []).append(row)
    by_slot.pop(-1, None)
    counts = tuple(map(len, by_slot.values()))
    summed = tuple(count if count >= MIN_SIZE else count + -count % ROW_MULTIPLE for count in counts)
    rows = [row for rows in by_slot.values() for row in rows]
    starts = itertools.accumulate(summed, initial=0)
    places = [start + row for start, count in zip(starts, counts, strict=False) for row in range(count)]
    ordered, back = zip(*sorted(zip(rows, places, strict=True)), strict=True) if rows else ((), ())
    whole = len(slots)
    return Grouped(_of(rows, whole), tuple(by_slot), counts, summed, _of(ordered, whole), _of(back, sum(summed)))


def _of(rows: Sequence[int], count: int) -> Rows:
    first, end = (rows[0], rows[0] + len(rows)) if rows else (0, 0)
    if list(rows) != list(range(first, end)):
        return torch.tensor(rows, device="cpu")
    return None if len(rows) == count else slice(first, end)


@functools.cache
def _over_again(count: int, many: int) -> torch.Tensor:
    """So many rows, and the first of them over again."""
    return torch.arange(many, device="cpu") % count
