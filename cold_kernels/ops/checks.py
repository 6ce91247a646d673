"""Checks of operator arguments: every error names the value and what would be right."""

import torch

FLOATS = (torch.float16, torch.bfloat16, torch.float32)
INDICES = (torch.int32, torch.int64)


def three_dimensional(name: str, weights: torch.Tensor) -> torch.Tensor:
    if isinstance(weights, torch.Tensor) and weights.dim() == 4 and weights.shape[1] == 1:
        weights = weights.squeeze(1)
    check_float(name, weights, 3)
    return weights


def rows_contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if need be so that its last dimension is contiguous as the copy engine wants it."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


def check_float(name: str, tensor: torch.Tensor, dim: int) -> None:
    check_tensor(name, tensor, dim, FLOATS)


def check_tensor(name: str, tensor: torch.Tensor, dim: int, dtypes: tuple[torch.dtype, ...]) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.dim() != dim:
        raise ValueError(f"{name} must have {dim} dimensions, not shape {list(tensor.shape)}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name} must be {' or '.join(map(str, dtypes))}, not {tensor.dtype}")


def check_same(what: str, name: str, mine: object, other: str, theirs: object) -> None:
    if mine != theirs:
        kind = TypeError if what == "dtype" else ValueError
        raise kind(f"{name} has {what} {mine}, but {other} has {theirs}; they must be equal")


def check_written_once(name: str, tensor: torch.Tensor) -> None:
    if any(size > 1 and not stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
        raise ValueError(f"{name} repeats memory (strides {tensor.stride()}); it must have an element per place")


def check_indices(indices: torch.Tensor, slots: int) -> None:
    low, high = map(int, indices.aminmax())
    if low < -1 or high >= slots:
        wrong = high if high >= slots else low
        raise IndexError(f"lora_indices_tensor holds {wrong}; it must be from -1 (base) to {slots - 1}")
