"""LoRA operators on many adapters at once, with the argument order of vLLM and vllm-ascend."""

import torch

from ..bgmv import arguments
from ..limits import MAX_RANK
from .checks import FLOATS, check_add_inputs, check_rank, check_scaling, check_tensor, three_dimensional
from .library import operator
from .rules import Rules
from .run import expand, shrink

SHRINK = Rules(
    arguments.SHRINK,
    names=dict(inputs="x", lora_a_weights="a", output_tensor="y", lora_indices_tensor="idx"),
    sizes=dict(T="number of rows", H="hidden size", R="rank", L="number of slots"),
)
EXPAND = Rules(
    arguments.EXPAND,
    names=dict(inputs="x", output_tensor="y", lora_b_weights="b", lora_indices_tensor="idx"),
    sizes=dict(T="number of rows", H="output size", R="rank", L="number of slots"),
)


def check_shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float = 1.0,
) -> None:
    """Raise what `bgmv_shrink` raises of types, shapes, devices and numbers."""
    weights = three_dimensional("lora_a_weights", lora_a_weights)
    SHRINK.check(
        inputs=inputs,
        lora_a_weights=weights,
        output_tensor=output_tensor,
        lora_indices_tensor=lora_indices_tensor,
    )
    check_rank("lora_a_weights", weights.shape[1], MAX_RANK)
    check_scaling(scaling)


def check_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    add_inputs: bool = True,
) -> None:
    """Raise what `bgmv_expand` raises of types, shapes and devices."""
    weights = three_dimensional("lora_b_weights", lora_b_weights)
    EXPAND.check(
        inputs=inputs,
        lora_b_weights=weights,
        output_tensor=output_tensor,
        lora_indices_tensor=lora_indices_tensor,
    )
    if inputs.dtype not in (torch.float32, weights.dtype):
        raise TypeError(f"inputs is {inputs.dtype}; it must be torch.float32 or the weights' {weights.dtype}")
    check_rank("lora_b_weights", weights.shape[2], MAX_RANK)
    check_add_inputs(add_inputs)


@operator(check_shrink, mutates=("output_tensor",))
def bgmv_shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float = 1.0,
) -> None:
    """Multiply each row by its adapter's A: ``output[t] = scaling * A[indices[t]] @ inputs[t]``, in place.

    Sums are in float32, and a row's bits do not depend on the other rows. On CPU tensors it runs in torch, or
    the Triton source itself under ``TRITON_INTERPRET=1``; on NPU and CUDA tensors the tuned kernel is launched.

    Args:
        inputs: ``[T, H]``, fp16, bf16 or fp32; rows may be strided.
        lora_a_weights: ``[L, R, H]`` or ``[L, 1, R, H]`` of the same type; rank R from 1 to 256.
        output_tensor: ``[T, R]``, fp32, overwritten; rows at index -1 become zero.
        lora_indices_tensor: ``[T]``, int32 or int64; -1 is a base row.
        scaling: Factor on every output.

    Raises:
        TypeError, ValueError: an argument of a wrong type, shape, device or stride.
        IndexError: an index below -1 or past the last slot, on CPU tensors; on a device, where looking would
            cost a synchronisation, such a row is a base row.
    """
    if lora_indices_tensor.numel():
        shrink(inputs, lora_a_weights, output_tensor, lora_indices_tensor, scaling)


@operator(check_expand, mutates=("output_tensor",))
def bgmv_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    add_inputs: bool = True,
) -> None:
    """Multiply each row by its adapter's B: ``output[t] (+)= B[indices[t]] @ inputs[t]``, in place.

    Sums are in float32 and rounded once to the output's type; a row's bits do not depend on the other rows.
    Runs where `bgmv_shrink` runs.

    Args:
        inputs: ``[T, R]``, fp32 (shrink's output) or the weights' type; rank R from 1 to 256.
        lora_b_weights: ``[L, H, R]`` or ``[L, 1, H, R]``, fp16, bf16 or fp32.
        output_tensor: ``[T, H]``, fp16, bf16 or fp32; rows at index -1 are left alone.
        lora_indices_tensor: ``[T]``, int32 or int64; -1 is a base row.
        add_inputs: Whether to add to what the output holds; otherwise it is overwritten.

    Raises:
        TypeError, ValueError: an argument of a wrong type, shape, device or stride.
        IndexError: as in `bgmv_shrink`.
    """
    if lora_indices_tensor.numel():
        expand(inputs, lora_b_weights, output_tensor, lora_indices_tensor, add_inputs)


def check_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """Raise what `bgmv_expand_slice` raises of types, shapes, devices and columns."""
    check_tensor("output_tensor", output_tensor, 2, FLOATS)
    for name, value in (("slice_offset", slice_offset), ("slice_size", slice_size)):
        if not isinstance(value, (int, torch.SymInt)) or value < 0:
            raise ValueError(f"{name} is {value!r}; it must be an integer from 0")
    width, end = output_tensor.shape[1], slice_offset + slice_size
    if end > width:
        raise ValueError(f"columns {slice_offset} to {end} are not within output_tensor's {width}")
    columns = output_tensor.narrow(1, slice_offset, slice_size)
    check_expand(inputs, lora_b_weights, columns, lora_indices_tensor, add_inputs)


@operator(check_expand_slice, mutates=("output_tensor",))
def bgmv_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """`bgmv_expand` into the columns ``slice_offset`` to ``slice_offset + slice_size`` of the output.

    Projections that share an output (q, k, v) are slices of it. The rank may be larger than the slice.

    Raises:
        ValueError: a slice outside the output, besides what `bgmv_expand` raises.
    """
    if lora_indices_tensor.numel():
        output = output_tensor.narrow(1, slice_offset, slice_size)
        expand(inputs, lora_b_weights, output, lora_indices_tensor, add_inputs)
