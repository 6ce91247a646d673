"""A launch's arguments as the program sees them: tensors as memrefs over their own memory."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from xdsl.dialects.builtin import MemRefType
from xdsl.ir import Attribute

from .addresses import GlobalMemory
from .memory import ELEMENT_TYPES, Allocation, MemRef
from .scalars import WIDTHS, rounded, wrap

MAX_LOCKS = 1024
TORCH_TYPES = {
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.float32: "f32",
    torch.float64: "f64",
    torch.int8: "i8",
    torch.uint8: "i8",
    torch.bool: "i8",
    torch.int16: "i16",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.uint16: "i16",
    torch.uint32: "i32",
    torch.uint64: "i64",
}


def bound(name: str, kind: Attribute, value: Any, memory: GlobalMemory) -> MemRef | int | float:
    """A run-time argument in the form that steps compute with; a tensor may be accessed as far as its storage goes.

    Raises:
        TypeError, ValueError: a value of another type than the kernel was compiled for, or on another device.
    """
    if isinstance(kind, MemRefType):
        return _tensor(name, str(kind.element_type), value, memory)
    if isinstance(value, torch.Tensor) or not isinstance(value, (int, float)):
        raise TypeError(f"argument {name} must be a number of type {kind}, not {type(value).__name__}")
    if str(kind) not in WIDTHS:
        return rounded(str(kind))(value)
    wrapped = wrap(WIDTHS[str(kind)])(value) if isinstance(value, int) else None
    if wrapped != value and not (str(kind) == "i64" and isinstance(value, int) and 0 <= value < 1 << 64):  # a u64
        raise ValueError(f"argument {name} = {value!r} does not fit {kind}")
    return wrapped


class Detached(list):
    """Arguments with tensors over copies of the memory that ``originals`` have."""

    def __init__(self, copies: Iterable, originals: Sequence) -> None:
        super().__init__(copies)
        self.originals = originals


def detached(args: Sequence) -> Detached:
    """The arguments with tensors over copies of their memory; what shares memory still does."""
    copies: dict[int, torch.UntypedStorage] = {}

    def copy(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.device.type != "cpu":
            return value
        storage = value.untyped_storage()
        if storage.data_ptr() not in copies:
            copies[storage.data_ptr()] = storage.clone()
        empty = torch.empty(0, dtype=value.dtype)
        return empty.set_(copies[storage.data_ptr()], value.storage_offset(), value.shape, value.stride())

    return Detached(map(copy, args), args)


def contents(args: Sequence) -> list:
    """The arguments with tensors as the bytes of their whole memory, to be compared."""
    empty = torch.empty(0, dtype=torch.uint8)
    return [
        empty.clone().set_(value.untyped_storage()).numpy().tobytes() if isinstance(value, torch.Tensor) else value
        for value in args
    ]


def lock_variables() -> MemRef:
    """Memory for the locks of a launch, which start at 0."""
    size = 8 * MAX_LOCKS
    memory = Allocation("the lock variables", np.zeros(size, np.uint8), 0, size, False)
    return MemRef(memory, 0, (size,), (1,), ELEMENT_TYPES["i8"])


def _tensor(name: str, element: str, tensor: Any, memory: GlobalMemory) -> MemRef:
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"argument {name} must be a tensor of {element}, not {type(tensor).__name__}")
    if tensor.layout != torch.strided:
        raise ValueError(f"argument {name} is {tensor.layout}; the simulator takes strided tensors")
    if tensor.device.type != "cpu":
        raise ValueError(f"argument {name} is on {tensor.device}; the simulator takes CPU tensors")
    if TORCH_TYPES.get(tensor.dtype) != element:
        raise TypeError(f"argument {name} is {tensor.dtype}, but the kernel was compiled for {element}")
    extent = 0
    if tensor.numel():
        extent = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    data, dtype = memory.storage(name, tensor), ELEMENT_TYPES[element]
    start = tensor.storage_offset() * dtype.itemsize
    allocation = Allocation(name, data, start, start + extent * dtype.itemsize, False, (0, len(data)))
    return MemRef(allocation, 0, (extent,), (1,), dtype, True)
