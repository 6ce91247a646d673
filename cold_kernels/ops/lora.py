"""LoRA operators on many adapters at once, with the argument order of vLLM and vllm-ascend."""

import torch

from ..bgmv import cpu
from ..devices import interpreting
from .checks import (
    INDICES,
    check_float,
    check_indices,
    check_same,
    check_tensor,
    check_written_once,
    rows_contiguous,
    three_dimensional,
)

MAX_RANK = 256
MAX_ROWS = 1 << 23


def bgmv_shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float = 1.0,
) -> None:
    """Multiply each row by its adapter's A: ``output[t] = scaling * A[indices[t]] @ inputs[t]``, in place.

    The signature is that of vLLM's and vllm-ascend's operator. Sums are in float32, and a row's bits do not
    depend on the other rows. On CPU tensors it runs in torch, or the Triton source itself under
    ``TRITON_INTERPRET=1``; on NPU and CUDA tensors the tuned kernel is launched.

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
    weights = three_dimensional("lora_a_weights", lora_a_weights)
    check_float("inputs", inputs, 2)
    check_tensor("output_tensor", output_tensor, 2, (torch.float32,))
    check_tensor("lora_indices_tensor", lora_indices_tensor, 1, INDICES)
    rows, hidden = inputs.shape
    slots, rank, width = weights.shape
    check_same("dtype", "lora_a_weights", weights.dtype, "inputs", inputs.dtype)
    for name, tensor in (
        ("lora_a_weights", weights),
        ("output_tensor", output_tensor),
        ("lora_indices_tensor", lora_indices_tensor),
    ):
        check_same("device", name, tensor.device, "inputs", inputs.device)
    check_same("hidden size", "lora_a_weights", width, "inputs", hidden)
    check_same("number of rows", "output_tensor", output_tensor.shape[0], "inputs", rows)
    check_same("number of rows", "lora_indices_tensor", lora_indices_tensor.shape[0], "inputs", rows)
    check_same("rank", "output_tensor", output_tensor.shape[1], "lora_a_weights", rank)
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"lora_a_weights has rank {rank}; it must be from 1 to {MAX_RANK}")
    if rows >= MAX_ROWS:
        raise ValueError(f"inputs has {rows} rows; at most {MAX_ROWS - 1} go into one call")
    check_written_once("output_tensor", output_tensor)
    if not isinstance(scaling, (int, float)):
        raise TypeError(f"scaling must be a number, not {type(scaling).__name__}")
    if not rows:
        return
    if inputs.device.type == "cpu":
        check_indices(lora_indices_tensor, slots)
        if not interpreting():
            cpu.shrink(inputs, weights, output_tensor, lora_indices_tensor, float(scaling))
            return
    from ..bgmv import shrink
    from ..launch import launch

    launch(
        shrink.bgmv_shrink,
        dict(
            x=rows_contiguous(inputs),
            a=rows_contiguous(weights),
            y=output_tensor,
            idx=lora_indices_tensor.contiguous(),
            scale=float(scaling),
        ),
    )
