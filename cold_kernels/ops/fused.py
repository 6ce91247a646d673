"""Shrink and expand of several projections in one operator, and in one launch or two."""

import torch

from ..bgmv import arguments
from ..limits import MAX_FUSED_RANK
from .checks import check_add_inputs, check_rank, check_same, check_scaling, check_tensor, three_dimensional
from .library import operator
from .rules import Rules
from .run import shrink_expand

RULES = Rules(
    arguments.SHRINK_EXPAND,
    names=dict(
        inputs="x",
        lora_a_weights="a",
        output_tensor="y",
        lora_b_weights="b",
        lora_indices_tensor="idx",
        slice_starts="starts",
    ),
    sizes=dict(
        T="number of rows",
        H="hidden size",
        L="number of slots",
        S="number of slices",
        R="rank",
        D="output size",
    ),
)


def check_shrink_expand(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_starts: torch.Tensor,
    scaling: float = 1.0,
    add_inputs: bool = True,
    row_order: torch.Tensor | None = None,
) -> None:
    """Raise what `bgmv_shrink_expand` raises of types, shapes, devices and numbers."""
    RULES.check(
        inputs=inputs,
        lora_a_weights=lora_a_weights,
        output_tensor=output_tensor,
        lora_b_weights=three_dimensional("lora_b_weights", lora_b_weights),
        lora_indices_tensor=lora_indices_tensor,
        slice_starts=slice_starts,
    )
    _, slices, rank, _ = lora_a_weights.shape
    check_rank("lora_a_weights", rank, MAX_FUSED_RANK, "; higher ranks take bgmv_shrink and bgmv_expand")
    if not slices:
        raise ValueError("lora_a_weights has no slices; it must have 1 or more")
    check_scaling(scaling)
    check_add_inputs(add_inputs)
    if row_order is not None:
        check_tensor("row_order", row_order, 2, (torch.int32,))
        check_same("device", "row_order", row_order.device, "inputs", inputs.device)
        check_same("rows", "row_order", row_order.shape[0], "lora_row_order", 4)
        check_same("columns", "row_order", row_order.shape[1], "lora_row_order of this batch", inputs.shape[0] + 1)
        if row_order.stride(1) != 1:
            raise ValueError(f"row_order's columns are {row_order.stride(1)} apart; they must follow one another")


@operator(check_shrink_expand, mutates=("output_tensor",))
def bgmv_shrink_expand(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_starts: torch.Tensor,
    scaling: float = 1.0,
    add_inputs: bool = True,
    row_order: torch.Tensor | None = None,
) -> None:
    """Both products of LoRA for projections that share an input, in place: for each slice s of the output's columns
    ``output[t, s] (+)= scaling * B[indices[t], s] @ (A[indices[t], s] @ inputs[t])``.

    What lies between the products stays in float32; it is rounded once, to the output's type. A row's bits do not
    depend on the other rows. On NPU and CUDA tensors it is one launch, in which each core makes the small product for
    its own share of the outputs, or two with the small product between them, as the tuned configuration has it, with
    the same bits. Runs where `bgmv_shrink` runs.

    On Ascend, for ranks and 16-bit types for which the chip's tables have `bgmv_shrink_expand_cube`, it is one launch
    on the cube cores, in which rows of a tile of the row order share one reading of their adapter; what lies between
    the products is then rounded to the weights' type, and is infinite past 65504 in fp16.

    Args:
        inputs: ``[T, H]``, fp16, bf16 or fp32; rows may be strided.
        lora_a_weights: ``[L, S, R, H]`` of the same type: each slice's A; rank R from 1 to 128.
        lora_b_weights: ``[L, D, R]`` or ``[L, 1, D, R]`` of the same type: the slices' B one after the other.
        output_tensor: ``[T, D]``, fp16, bf16 or fp32; rows at index -1 are left alone.
        lora_indices_tensor: ``[T]``, int32 or int64; -1 is a base row.
        slice_starts: ``[S]``, int32 or int64, ascending: slice s is from ``slice_starts[s]`` to where the next one
            starts, the last one to D. Made once for a model, as it is read on the device.
        scaling: Factor on every product.
        add_inputs: Whether to add to what the output holds; otherwise it is overwritten.
        row_order: ``[4, T + 1]``, int32, `lora_row_order` of these indices: on devices the cores then share the rows
            with an adapter, none has to look at the others, and rows that share one are multiplied together. Without
            it rows are dealt as they come.

    Raises:
        TypeError, ValueError: an argument of a wrong type, shape, device or stride; on CPU tensors also starts that
            are not ascending within the output.
        IndexError: as in `bgmv_shrink`.
    """
    if lora_indices_tensor.numel() and output_tensor.shape[1]:
        shrink_expand(
            inputs,
            lora_a_weights,
            lora_b_weights,
            output_tensor,
            lora_indices_tensor,
            slice_starts,
            scaling,
            add_inputs,
            row_order,
        )
