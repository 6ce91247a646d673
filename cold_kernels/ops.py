"""The operators: arguments checked, then the CPU path or a launch of the tuned kernel."""

import torch

from .bgmv import cpu
from .devices import interpreting

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
    weights = _three_dimensional("lora_a_weights", lora_a_weights)
    _check_float("inputs", inputs, 2)
    _check_tensor("output_tensor", output_tensor, 2, (torch.float32,))
    _check_tensor("lora_indices_tensor", lora_indices_tensor, 1, (torch.int32, torch.int64))
    rows, hidden = inputs.shape
    slots, rank, width = weights.shape
    _check_same("dtype", "lora_a_weights", weights.dtype, "inputs", inputs.dtype)
    for name, tensor in (
        ("lora_a_weights", weights),
        ("output_tensor", output_tensor),
        ("lora_indices_tensor", lora_indices_tensor),
    ):
        _check_same("device", name, tensor.device, "inputs", inputs.device)
    _check_same("hidden size", "lora_a_weights", width, "inputs", hidden)
    _check_same("number of rows", "output_tensor", output_tensor.shape[0], "inputs", rows)
    _check_same("number of rows", "lora_indices_tensor", lora_indices_tensor.shape[0], "inputs", rows)
    _check_same("rank", "output_tensor", output_tensor.shape[1], "lora_a_weights", rank)
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"lora_a_weights has rank {rank}; it must be from 1 to {MAX_RANK}")
    if rows >= MAX_ROWS:
        raise ValueError(f"inputs has {rows} rows; at most {MAX_ROWS - 1} go into one call")
    _check_written_once("output_tensor", output_tensor)
    if not isinstance(scaling, (int, float)):
        raise TypeError(f"scaling must be a number, not {type(scaling).__name__}")
    if not rows:
        return
    if inputs.device.type == "cpu":
        _check_indices(lora_indices_tensor, slots)
        if not interpreting():
            cpu.shrink(inputs, weights, output_tensor, lora_indices_tensor, float(scaling))
            return
    from .bgmv import shrink
    from .launch import launch

    launch(
        shrink.bgmv_shrink,
        dict(
            x=_rows_contiguous(inputs),
            a=_rows_contiguous(weights),
            y=output_tensor,
            idx=lora_indices_tensor.contiguous(),
            scale=float(scaling),
        ),
    )


def _three_dimensional(name: str, weights: torch.Tensor) -> torch.Tensor:
    if isinstance(weights, torch.Tensor) and weights.dim() == 4 and weights.shape[1] == 1:
        weights = weights.squeeze(1)
    _check_float(name, weights, 3)
    return weights


def _rows_contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if need be so that its last dimension is contiguous as the copy engine wants it."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


def _check_float(name: str, tensor: torch.Tensor, dim: int) -> None:
    _check_tensor(name, tensor, dim, (torch.float16, torch.bfloat16, torch.float32))


def _check_tensor(name: str, tensor: torch.Tensor, dim: int, dtypes: tuple[torch.dtype, ...]) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.dim() != dim:
        raise ValueError(f"{name} must have {dim} dimensions, not shape {list(tensor.shape)}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name} must be {' or '.join(map(str, dtypes))}, not {tensor.dtype}")


def _check_same(what: str, name: str, mine: object, other: str, theirs: object) -> None:
    if mine != theirs:
        kind = TypeError if what == "dtype" else ValueError
        raise kind(f"{name} has {what} {mine}, but {other} has {theirs}; they must be equal")


def _check_written_once(name: str, tensor: torch.Tensor) -> None:
    if any(size > 1 and not stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
        raise ValueError(f"{name} repeats memory (strides {tensor.stride()}); it must have an element per place")


def _check_indices(indices: torch.Tensor, slots: int) -> None:
    low, high = map(int, indices.aminmax())
    if low < -1 or high >= slots:
        wrong = high if high >= slots else low
        raise IndexError(f"lora_indices_tensor holds {wrong}; it must be from -1 (base) to {slots - 1}")
