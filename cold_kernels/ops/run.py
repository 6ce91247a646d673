"""LoRA operators on arguments that go together: the CPU path, or launches of the tuned kernel."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ..bgmv import cpu
from ..bgmv.cube_zeros import zeros_for
from ..devices import in_torch
from ..launch import launch
from .checks import (
    check_apart,
    check_ascending,
    check_slots,
    check_written_once,
    rows_contiguous,
    three_dimensional,
)
from .cores import on_cube
from .library import without_gradients

MAX_ITEMS = (1 << 31) - (1 << 16)
"""What a launch may have of tiles: kernels count them, and the elements of a workspace, in 32 bits."""


@without_gradients
def shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float,
    lengths: torch.Tensor | None = None,
) -> None:
    """`bgmv_shrink` of at least one row; with ``lengths`` the indices are of sequences of so many rows each."""
    weights = three_dimensional("lora_a_weights", lora_a_weights)
    _check_memory(inputs, output_tensor)
    slots = _checked_slots(lora_indices_tensor, weights, lengths)
    if in_torch(inputs):
        cpu.shrink(inputs, weights, output_tensor, slots, scaling)
        return
    if not inputs.shape[1]:
        output_tensor.zero_()
        return
    _note_written(output_tensor)
    from ..bgmv.cube_shrink import bgmv_shrink_cube

    others = dict(a=rows_contiguous(weights), scale=float(scaling))
    items = weights.shape[1] * 8  # a tile for each rank and part of the hidden size at worst
    if on_cube(bgmv_shrink_cube, inputs, weights.shape[1], lengths is not None):
        others |= dict(zeros=zeros_for(inputs), scaled=scaling != 1.0)
        with _rows_of(output_tensor) as y:
            by_row = dict(x=rows_contiguous(inputs), y=y)
            _launch_sequences(bgmv_shrink_cube, by_row, others, lora_indices_tensor, lengths, items)
        return
    from ..bgmv.shrink import bgmv_shrink

    idx = _by_row(lora_indices_tensor, lengths, inputs.shape[0])
    _launch(bgmv_shrink, dict(x=rows_contiguous(inputs), y=output_tensor, idx=idx.contiguous()), others, items)


@without_gradients
def expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    add_inputs: bool,
    lengths: torch.Tensor | None = None,
) -> None:
    """`bgmv_expand` of at least one row; ``lengths`` as in `shrink`."""
    weights = three_dimensional("lora_b_weights", lora_b_weights)
    if not output_tensor.shape[1]:
        return
    _check_memory(inputs, output_tensor)
    slots = _checked_slots(lora_indices_tensor, weights, lengths)
    if in_torch(inputs):
        cpu.expand(weights, inputs, output_tensor, slots, add_inputs)
        return
    _note_written(output_tensor)
    from ..bgmv.cube_expand import bgmv_expand_cube

    others = dict(b=rows_contiguous(weights), add=bool(add_inputs))
    items = output_tensor.shape[1] // 4 + 1  # a tile has 4 outputs or more
    if on_cube(bgmv_expand_cube, weights, weights.shape[2], lengths is not None):
        with _rows_of(output_tensor) as y:
            by_row = dict(x=rows_contiguous(inputs), y=y)
            _launch_sequences(bgmv_expand_cube, by_row, others, lora_indices_tensor, lengths, items)
        return
    from ..bgmv.expand import bgmv_expand

    idx = _by_row(lora_indices_tensor, lengths, inputs.shape[0])
    _launch(bgmv_expand, dict(x=inputs, y=output_tensor, idx=idx.contiguous()), others, items)


@without_gradients
def shrink_expand(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_starts: torch.Tensor,
    scaling: float,
    add_inputs: bool,
    row_order: torch.Tensor | None,
) -> None:
    """`bgmv_shrink_expand` of at least one row and output."""
    b = three_dimensional("lora_b_weights", lora_b_weights)
    _check_memory(inputs, output_tensor)
    slots = _checked_slots(lora_indices_tensor, b)
    starts = _checked_starts(slice_starts, output_tensor)
    if in_torch(inputs):
        cpu.shrink_expand(inputs, lora_a_weights, b, output_tensor, slots, starts, scaling, add_inputs)
        return
    _note_written(output_tensor)
    by_row = dict(x=rows_contiguous(inputs), y=output_tensor, idx=lora_indices_tensor.contiguous())
    others = dict(
        a=rows_contiguous(lora_a_weights),
        b=rows_contiguous(b),
        starts=slice_starts.contiguous(),
        scale=float(scaling),
        add=bool(add_inputs),
    )
    items = lora_a_weights.shape[1] * (inputs.shape[1] // 256 + 1)  # each span of columns of a slice at worst
    if row_order is None or lora_indices_tensor.shape[0] > _rows_at_once(items):
        row_order = _no_order(inputs.device)
    from ..bgmv.cube_shrink_expand import bgmv_shrink_expand_cube

    if on_cube(bgmv_shrink_expand_cube, inputs, lora_a_weights.shape[2], row_order.shape[1] > 0):
        _launch(bgmv_shrink_expand_cube, by_row, others | dict(tiles=row_order[1:]), items)
        return
    from ..bgmv.shrink_expand import bgmv_shrink_expand

    _launch(bgmv_shrink_expand, by_row, others | dict(order=row_order[0]), items)


def _check_memory(inputs: torch.Tensor, output: torch.Tensor) -> None:
    """Raise where the output repeats memory, or is the inputs'."""
    check_written_once("output_tensor", output)
    check_apart("output_tensor", output, "inputs", inputs)


def _checked_slots(
    indices: torch.Tensor, weights: torch.Tensor, lengths: torch.Tensor | None = None
) -> tuple[int, ...] | None:
    """Each row's slot, found to be one, or -1; None on devices, where to look would cost a synchronisation."""
    if not indices.is_cpu:
        return None
    slots = tuple((indices if lengths is None else torch.repeat_interleave(indices, lengths)).tolist())
    check_slots(slots, weights.shape[0])
    return slots


def _checked_starts(starts: torch.Tensor, output: torch.Tensor) -> list[int] | None:
    """The slices' first columns, found to ascend within the output; None on devices."""
    if not starts.is_cpu:
        return None
    listed = starts.tolist()
    check_ascending("slice_starts", listed, output.shape[1])
    return listed


@functools.cache
def _no_order(device: torch.device) -> torch.Tensor:
    """What the kernels take for no row order. It holds nothing, so that one serves all launches."""
    return torch.empty((4, 0), dtype=torch.int32, device=device)


def _note_written(output: torch.Tensor) -> None:
    """Tell autograd of a kernel's writes, which it does not see."""
    if not output.is_inference():
        torch.autograd.graph.increment_version(output)


def _by_row(indices: torch.Tensor, lengths: torch.Tensor | None, rows: int) -> torch.Tensor:
    """Each row's index; those of sequences of so many rows each are repeated."""
    return indices if lengths is None else torch.repeat_interleave(indices, lengths, output_size=rows)


@contextmanager
def _rows_of(output: torch.Tensor) -> Iterator[torch.Tensor]:
    """The output, or where its columns do not follow one another a copy that goes back into it."""
    if output.stride(1) == 1 or output.shape[1] == 1:
        yield output
        return
    copy = output.contiguous()
    yield copy
    output.copy_(copy)


def _launch_sequences(
    spec: Any,
    by_row: Mapping[str, torch.Tensor],
    others: Mapping[str, Any],
    indices: torch.Tensor,
    lengths: torch.Tensor | None,
    items: int,
) -> None:
    """`_launch` of a kernel that takes rows one by one, or those of sequences together."""
    rows = by_row["y"].shape[0]
    if lengths is None or rows > _rows_at_once(items):
        none = dict(lengths=_nothing(indices.device), slots=_nothing(indices.device))
        _launch(spec, {**by_row, "idx": _by_row(indices, lengths, rows).contiguous()}, {**others, **none}, items)
        return
    unread = indices.new_empty(rows)  # of sequences each has one, and not each row
    sequences = dict(lengths=lengths.contiguous(), slots=indices.contiguous())
    _launch(spec, {**by_row, "idx": unread}, {**others, **sequences}, items)


@functools.cache
def _nothing(device: torch.device) -> torch.Tensor:
    """What the kernels take for no sequences."""
    return torch.empty(0, dtype=torch.int32, device=device)


def _rows_at_once(items: int) -> int:
    """Rows of a launch at most, of so many items each."""
    return max(1, MAX_ITEMS // items)


def _launch(spec: Any, by_row: Mapping[str, torch.Tensor], others: Mapping[str, Any], items: int) -> None:
    """Launch for all rows, in as many launches as keep each below `MAX_ITEMS`; ``items`` is of a row at most."""
    rows, most = by_row["idx"].shape[0], _rows_at_once(items)
    if rows <= most:
        launch(spec, {**others, **by_row})
        return
    for first in range(0, rows, most):
        launch(spec, {**others, **{name: tensor[first : first + most] for name, tensor in by_row.items()}})
