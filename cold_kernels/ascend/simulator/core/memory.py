"""Bytes and views of them: the unified buffer, a kernel's tensors, and the memrefs that point into both."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import ml_dtypes
import numpy as np

from ...errors import AscendError, UnsupportedProgram

BLOCK = 32
"""Bytes of the unified buffer's smallest unit; copies into it fill whole blocks."""

BIT = "i1"
"""Element type of packed booleans: bit i of byte i // 8, low bit first."""

ELEMENT_TYPES = {
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
}


MOST_KEPT = 4096
"""What `kept` keeps of one function at a time."""

T = TypeVar("T")


class OutOfBounds(AscendError):
    """An access outside a tensor or a planned buffer."""


class Allocation:
    """A range of bytes: a tensor, or a buffer planned by the compiler.

    Args:
        name: For messages.
        data: The memory that it lies in, as bytes.
        start, end: Byte range within ``data``.
        local: Whether it is the core's unified buffer rather than global memory.
        room: Byte range within ``data`` that accesses must stay within; by default the same. A tensor's is the
            storage that it is a view of.
    """

    __slots__ = ("data", "end", "local", "name", "room", "start")

    def __init__(
        self, name: str, data: np.ndarray, start: int, end: int, local: bool, room: tuple[int, int] | None = None
    ) -> None:
        self.name, self.data, self.start, self.end, self.local = name, data, start, end, local
        self.room = room or (start, end)


class MemRef:
    """A strided view: element ``i, j, …`` is at ``offset + i * strides[0] + …`` elements from the start.

    Args:
        allocation: What it points into.
        offset: In elements, from the allocation's start.
        shape, strides: In elements.
        dtype: A NumPy type, or `BIT`.
        fixed: Whether the view is the same in every run, so that what is derived from it may be kept.
    """

    __slots__ = ("_array", "allocation", "dtype", "fixed", "offset", "shape", "strides")

    def __init__(
        self,
        allocation: Allocation,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype | str,
        fixed: bool = False,
    ) -> None:
        self.allocation, self.offset, self.shape = allocation, offset, shape
        self.strides, self.dtype, self.fixed = strides, dtype, fixed
        self._array: Any = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> float:
        """Bytes of an element; 1/8 for packed booleans."""
        return 0.125 if self.dtype is BIT else self.dtype.itemsize

    @property
    def address(self) -> int:
        """Byte address of the first element within the memory."""
        return self.allocation.start + int(self.offset * self.itemsize)

    @property
    def extent(self) -> int:
        """Bytes from the first element to the end of the last one."""
        steps = sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        return math.ceil((steps + 1) * self.itemsize) if self.size else 0

    @property
    def room(self) -> tuple[int, int]:
        """The first element that may be accessed, and how many from the allocation's start on."""
        start, (low, high) = self.allocation.start, self.allocation.room
        size = self.itemsize
        return -int((start - low) / size), int((high - start) / size)

    def rows(self) -> tuple[int, int]:
        """``(rows, columns)`` with every dimension but the last counted as rows."""
        return (math.prod(self.shape[:-1]), self.shape[-1]) if self.shape else (1, 1)

    def array(self) -> np.ndarray:
        """The elements as a NumPy view; for `BIT` use `read` and `write`.

        Raises:
            OutOfBounds: an element lies outside the allocation.
        """
        if self._array is None:
            self.check()
            size = self.dtype.itemsize
            self._array = np.ndarray(
                self.shape, self.dtype, self.allocation.data, self.address, [s * size for s in self.strides]
            )
        return self._array

    def bytes(self) -> np.ndarray:
        """The elements' memory; of booleans all bytes from the first to the last."""
        return self.allocation.data[self.address : self.address + self.extent] if self.dtype is BIT else self.array()

    def read(self) -> np.ndarray:
        """The elements; booleans are unpacked into a copy."""
        if self.dtype is not BIT:
            return self.array()
        packed, count = self._packed()
        return np.unpackbits(packed, axis=-1, bitorder="little", count=count).view(np.bool_).reshape(self.shape)

    def write(self, values: np.ndarray | float) -> None:
        """Assign, converted to the element type; booleans are packed."""
        if self.dtype is not BIT:
            self.array()[...] = values
            return
        packed, count = self._packed()
        if count == 1 and packed.size == 1:
            packed[...] = bool(values)
            return
        bits = np.asarray(values, np.bool_)
        if bits.shape != self.shape:
            bits = np.broadcast_to(bits, self.shape)
        bits = bits.reshape(*packed.shape[:-1], count)
        packed[...] = np.packbits(bits, axis=-1, bitorder="little")

    def assign(self, values: np.ndarray) -> None:
        """As `write`, of exactly as many elements along each axis."""
        if np.shape(values) != self.shape:
            raise UnsupportedProgram(f"{np.shape(values)} elements for {self!r} are not simulated")
        self.write(values)

    def _packed(self) -> tuple[np.ndarray, int]:
        """Booleans as a view of their bytes, a row for each contiguous run of them, and how long a run is."""
        if self._array is not None:
            return self._array
        run, outer = 1, len(self.shape)
        while outer and (self.shape[outer - 1] == 1 or self.strides[outer - 1] == run):
            outer -= 1
            run *= self.shape[outer]
        if self.offset % 8 or any(stride % 8 for stride in self.strides[:outer]):
            raise UnsupportedProgram(f"booleans {self!r} that do not start at a byte are not simulated")
        self.check()
        shape = (*self.shape[:outer], (run + 7) // 8)
        strides = [*(stride // 8 for stride in self.strides[:outer]), 1]
        self._array = np.ndarray(shape, np.uint8, self.allocation.data, self.address, strides), run
        return self._array

    def check(self) -> None:
        if 0 in self.shape:
            return
        low = high = self.offset
        for size, stride in zip(self.shape, self.strides, strict=True):
            if stride > 0:
                high += (size - 1) * stride
            else:
                low += (size - 1) * stride
        first, last = self.room
        if low < first or high >= last:
            there = f"{last}" if not first else f"{first} to {last - 1}"
            raise OutOfBounds(f"elements {low} to {high} of {self.allocation.name}, which has {there}")

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.allocation.name}+{self.offset}[{shape}]"


def kept(function: Callable[..., T]) -> Callable[..., T]:
    """A function of memrefs that keeps its results where all of them are buffers that are the same in every run."""
    results: dict[tuple[MemRef, ...], T] = {}

    def of(*refs: MemRef) -> T:
        result = results.get(refs)
        if result is None:
            result = function(*refs)
            if all(ref.fixed and ref.allocation.local for ref in refs):
                if len(results) >= MOST_KEPT:
                    results.clear()
                results[refs] = result
        return result

    return of
