"""Checks of operator arguments: every error names the value and what would be right."""

import math

import torch

FLOATS = (torch.float16, torch.bfloat16, torch.float32)
INDICES = (torch.int32, torch.int64)
FLOAT32_MAX = torch.finfo(torch.float32).max


def three_dimensional(name: str, weights: torch.Tensor) -> torch.Tensor:
    """Weights ``[slots, 1, …, …]`` as ``[slots, …, …]``."""
    if not isinstance(weights, torch.Tensor) or weights.dim() == 3:
        return weights
    if weights.dim() == 4 and weights.shape[1] == 1:
        return weights.squeeze(1)
    raise ValueError(f"{name} must be [slots, …, …] or [slots, 1, …, …], not shape {list(weights.shape)}")


def rows_contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if need be so that its last dimension is contiguous as the copy engine wants it."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


def check_tensor(name: str, tensor: torch.Tensor, dim: int, dtypes: tuple[torch.dtype, ...]) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} is {tensor.layout}; it must be torch.strided (call .to_dense())")
    if tensor.dim() != dim:
        raise ValueError(f"{name} must have {dim} dimensions, not shape {list(tensor.shape)}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name} must be {' or '.join(map(str, dtypes))}, not {tensor.dtype}")


def check_same(what: str, name: str, mine: object, other: str, theirs: object) -> None:
    if mine != theirs:
        kind = TypeError if what == "dtype" else ValueError
        raise kind(f"{name} has {what} {mine}, but {other} has {theirs}; they must be equal")


def check_rank(name: str, rank: int, most: int, where_higher: str = "") -> None:
    """Raise unless weights have a rank that the kernels take; ``where_higher`` says what takes others."""
    if not 1 <= rank <= most:
        raise ValueError(f"{name} has rank {rank}; it must be from 1 to {most}{where_higher if rank else ''}")


def check_number(name: str, value: object, or_else: str = "") -> None:
    """Raise unless ``value`` is a number; a flag is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number (int or float){or_else}, not {type(value).__name__}")


def check_scaling(value: object) -> None:
    """Raise unless ``scaling`` is a number that is one in float32 too; infinite and NaN ones are."""
    check_number("scaling", value)
    if FLOAT32_MAX < abs(value) != math.inf:
        raise ValueError(f"scaling is beyond the largest float32, {FLOAT32_MAX:.3g}")


def check_add_inputs(value: object) -> None:
    if not isinstance(value, (bool, int)):
        raise TypeError(f"add_inputs must be True or False, not {type(value).__name__}")


def check_written_once(name: str, tensor: torch.Tensor) -> None:
    """Raise where two elements of a matrix share a place: steps i and j with ``i * strides[0] == j * strides[1]``."""
    if tensor.is_contiguous():
        return
    (rows, columns), (down, right) = tensor.shape, tensor.stride()
    shared = math.gcd(down, right) or 1
    if tensor.numel() > 1 and right // shared < rows and down // shared < columns:
        raise ValueError(f"{name} repeats memory (strides {tensor.stride()}); it must have an element per place")


def check_apart(name: str, output: torch.Tensor, other: str, tensor: torch.Tensor) -> None:
    """Raise where the matrix ``output`` overlaps ``tensor``, which must be side by side or elsewhere.

    Refuses besides what overlaps only what is interlaced in other ways than two column ranges of one matrix.
    """
    start, end = _bytes(output)
    other_start, other_end = _bytes(tensor)
    if end <= other_start or other_end <= start:
        return
    pitch = output.stride(0) * output.element_size()
    if pitch and pitch == tensor.stride(0) * tensor.element_size():
        widths = [(t.shape[1] - 1) * t.stride(1) * t.element_size() + t.element_size() for t in (output, tensor)]
        ahead = (other_start - start) % pitch
        if widths[0] <= ahead and ahead + widths[1] <= pitch:
            return
    raise ValueError(f"{name} shares memory with {other}; it must not, as it is written while {other} is read")


def _bytes(matrix: torch.Tensor) -> tuple[int, int]:
    """Where a matrix starts and ends in memory."""
    start = matrix.data_ptr()
    if matrix.is_contiguous():
        return start, start + matrix.nbytes
    (rows, columns), (down, right) = matrix.shape, matrix.stride()
    elements = (rows - 1) * down + (columns - 1) * right + 1 if rows and columns else 0
    return start, start + elements * matrix.element_size()


def check_slots(indices: tuple[int, ...], slots: int) -> None:
    low, high = min(indices), max(indices)
    if low < -1 or high >= slots:
        wrong = high if high >= slots else low
        right = f"from -1 (base) to {slots - 1}" if slots else "-1 (base), as there are no slots"
        raise IndexError(f"lora_indices_tensor holds {wrong}; it must be {right}")


def check_ascending(name: str, values: list[int], end: int) -> None:
    if values != sorted(values) or values[0] < 0 or values[-1] > end:
        raise ValueError(f"{name} holds {values}; they must ascend from 0 or more to {end} at most")
