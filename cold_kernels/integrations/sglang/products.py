"""LoRA products on weights as SGLang's memory pool has them, added to a layer's output.

A is ``[L, S * M, H]`` and B ``[L, D, M]``, for S slices and room for rank M. An adapter of rank r fills the first
``S * r`` rows of its A, slice by slice without gaps, and the first r columns of its B; the rest holds what adapters
before it left there.
"""

from collections.abc import Sequence

import torch

from ... import bgmv_expand_slice, bgmv_shrink, bgmv_shrink_expand
from ...limits import MAX_FUSED_RANK
from .rows import Group, Rows


def add_grouped(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    output: torch.Tensor,
    starts: torch.Tensor,
    offsets: Sequence[int],
    rows: Rows,
) -> None:
    """Add ``scaling * B @ (A @ x)`` of each row's adapter: a launch for each group of rows, and none without adapters.

    Args:
        x: ``[T, H]``, of the weights' type.
        a: ``[L, S * M, H]``.
        b: ``[L, D, M]``.
        output: ``[T, D or more]``; further columns are left alone.
        starts: ``[S]``, int32, on the device: each slice's first column.
        offsets: ``S + 1`` numbers: the same, and D.
        rows: With groups.
    """
    output, slices = output[:, : offsets[-1]], len(offsets) - 1
    for group in rows.groups:
        mine = a[:, : slices * group.rank].unflatten(1, (slices, group.rank)), b[..., : group.rank]
        if group.rank <= MAX_FUSED_RANK:
            bgmv_shrink_expand(x, *mine, output, group.indices, starts, group.scaling, True, group.order)
        else:
            _add_in_two(x, *mine, output, offsets, group)


def add_static(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    output: torch.Tensor,
    offsets: Sequence[int],
    indices: torch.Tensor,
    columns: torch.Tensor,
    factors: torch.Tensor,
) -> None:
    """As `add_grouped`, by launches that are the same whatever the adapters' ranks: for captured graphs.

    What an adapter's B holds beyond its rank is multiplied by zero: NaN of an adapter before it would stay NaN.

    Args:
        indices: ``[T]``, int32: each row's slot, or -1.
        columns: ``[T, S * M]``, from `rows.packed_columns`.
        factors: ``[T, M]``, from `rows.rank_factors`.
    """
    most = b.shape[2]
    low = shrunk(x, a, indices, most).gather(1, columns).unflatten(1, (-1, most))
    low = torch.where(factors[:, None] != 0, low * factors[:, None], 0.0)
    for place, (start, end) in enumerate(zip(offsets, offsets[1:])):
        bgmv_expand_slice(low[:, place], b[:, start:end], output, indices, start, end - start)


def shrunk(x: torch.Tensor, a: torch.Tensor, indices: torch.Tensor, most: int) -> torch.Tensor:
    """All rows of each adapter's A times x, ``[T, S * M]`` float32, as many at once as a launch takes."""
    low = x.new_empty(x.shape[0], a.shape[1], dtype=torch.float32)
    for first in range(0, a.shape[1], most):
        bgmv_shrink(x, a[:, first : first + most], low[:, first : first + most], indices)
    return low


def _add_in_two(
    x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, output: torch.Tensor, offsets: Sequence[int], group: Group
) -> None:
    """A group's products by shrink and expand, slice by slice: ranks that one operator does not take."""
    low = x.new_empty(x.shape[0], group.rank, dtype=torch.float32)
    for place, (start, end) in enumerate(zip(offsets, offsets[1:])):
        bgmv_shrink(x, a[:, place], low, group.indices, group.scaling)
        bgmv_expand_slice(low, b[:, start:end], output, group.indices, start, end - start)
