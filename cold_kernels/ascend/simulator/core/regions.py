"""Which bytes a memref covers."""

import math
from collections.abc import Sequence

import numpy as np

from .memory import BIT, Allocation, MemRef


class Region:
    """Bytes of an allocation: runs of ``run`` bytes, one at ``start`` plus each combination of ``strides``.

    Args:
        allocation: What they belong to.
        start, end: From the first byte to after the last, within the memory that the allocation lies in.
        shape, strides: How many runs along each axis, and the bytes between them; empty for a single run.
    """

    __slots__ = ("allocation", "end", "run", "shape", "start", "strides")

    def __init__(
        self, allocation: Allocation, start: int, run: int, shape: tuple[int, ...] = (), strides: tuple[int, ...] = ()
    ) -> None:
        self.allocation, self.start, self.run, self.shape, self.strides = allocation, start, run, shape, strides
        self.end = start + run
        if shape:
            self.end += sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))

    def starts(self) -> np.ndarray:
        """Where the runs start, in no order."""
        places = np.array([self.start], np.int64)
        for size, stride in zip(self.shape, self.strides, strict=True):
            places = (places[:, None] + np.arange(size) * stride).ravel()
        return places

    def of(self, shadow: np.ndarray) -> np.ndarray:
        """The region's elements of an array with one for each byte of the memory."""
        if not self.shape:
            return shadow[self.start : self.end]
        size = shadow.itemsize
        strides = [stride * size for stride in (*self.strides, 1)]
        return np.ndarray((*self.shape, self.run), shadow.dtype, shadow, self.start * size, strides)

    def meets(self, other: "Region") -> bool:
        """Whether the two share a byte of the same memory."""
        if self.end <= other.start or other.end <= self.start or self.allocation.data is not other.allocation.data:
            return False
        if not self.shape and not other.shape:
            return True
        mine, theirs = np.sort(self.starts()), np.sort(other.starts())
        following = np.searchsorted(theirs, mine, "right")  # of their runs, the first that starts after mine
        before = (following > 0) & (theirs[following - 1] + other.run > mine)
        after = (following < len(theirs)) & (theirs[np.minimum(following, len(theirs) - 1)] < mine + self.run)
        return bool(np.any(before | after))


def region(ref: MemRef) -> Region | None:
    """The bytes of a memref's elements; None if it has none. Of packed booleans whole bytes."""
    if not ref.size:
        return None
    if len(ref.shape) == 1 and ref.strides[0] == 1 and ref.dtype is not BIT:  # what most copies are of
        return Region(ref.allocation, ref.address, ref.shape[0] * ref.dtype.itemsize)
    bits = 1 if ref.dtype is BIT else 8 * ref.dtype.itemsize
    start, run = ref.offset * bits, bits
    axes = []
    for stride, size in sorted((stride * bits, size) for size, stride in zip(ref.shape, ref.strides, strict=True)):
        if stride < 0:
            start, stride = start + (size - 1) * stride, -stride
        if size == 1 or not stride:
            continue
        if stride == run and not axes:
            run *= size
        else:
            axes.append((size, stride))
    first = ref.allocation.start + start // 8
    if bits == 1 and (start % 8 or any(stride % 8 for _, stride in axes)):
        return Region(ref.allocation, first, math.ceil((start % 8 + run + sum((n - 1) * s for n, s in axes)) / 8))
    return Region(
        ref.allocation,
        first,
        math.ceil(run / 8),
        tuple(size for size, _ in axes),
        tuple(stride // 8 for _, stride in axes),
    )


def inside(whole: Region) -> Sequence[Region]:
    """The parts of a region that lie where its allocation may be accessed."""
    own = whole.allocation
    low, high = own.room
    if low <= whole.start and whole.end <= high:
        return (whole,)
    spans = ((max(start, low), min(start + whole.run, high)) for start in whole.starts().tolist())
    return [Region(own, start, end - start) for start, end in spans if start < end]


def everything(allocation: Allocation) -> Region:
    """All bytes of an allocation."""
    return Region(allocation, allocation.start, allocation.end - allocation.start)
