"""Accesses to global memory outside of every tensor, and what a launch wrote, so that it can be run again."""

from typing import NamedTuple

import numpy as np

from .memory import BIT, Allocation, MemRef, OutOfBounds
from .operations import Op, placed
from .spaces import Workspace

STRAY = 0xFF
"""Byte that such reads give: NaN in every float type, -1 in every integer."""

OTHER_STRAY = 0x3C
"""Byte that they give in a second run: whatever changes with it depends on them."""

PAGE = 1 << 14
"""Bytes that are copied together before they are written."""


READS = "reads what is there"
WRITES_BACK = "writes back what it has read there, over what others write meanwhile"
ADDS_NOTHING = "adds 0 there"
"""What an access outside does on a device."""


class Stray(NamedTuple):
    """An operation that accessed memory outside of every tensor, what it touched, the program that did it first, and
    what it does there."""

    op: Op
    message: str
    program: int
    does: str


class Strays:
    """The accesses of a launch outside of every tensor: lanes of a load that a mask takes away later, most often, and
    tiles that the compiler loads, changes in part and stores whole, in place of a store under a mask.

    Args:
        pattern: The byte that reads give.
    """

    def __init__(self, pattern: int = STRAY) -> None:
        self.pattern = pattern
        self.found: dict[Op, Stray] = {}

    def note(self, op: Op, error: Exception, program: int, does: str) -> None:
        """An access raised ``error``."""
        self.found.setdefault(op, Stray(op, str(placed(error, op)), program, does))

    def error(self) -> OutOfBounds:
        """The first one as an error: something depends on it."""
        error = OutOfBounds(next(iter(self.found.values())).message)
        error.located = True
        return error

    def elements(self, ref: MemRef) -> np.ndarray:
        """A memref's elements with the pattern in place of those outside."""
        whole, places, inside = _inside(ref)
        values = np.full((*ref.shape, ref.dtype.itemsize), self.pattern, np.uint8).view(ref.dtype).reshape(ref.shape)
        values[inside] = whole[places[inside]]
        return values

    def write_back(self, ref: MemRef, values: np.ndarray) -> bool:
        """Write a memref's elements as far as they lie inside, if those outside are what a read there gives."""
        whole, places, inside = _inside(ref)
        if (np.ascontiguousarray(values[~inside]).view(np.uint8) != self.pattern).any():
            return False
        whole[places[inside]] = values[inside]
        return True

    def add(self, ref: MemRef, values: np.ndarray) -> bool:
        """Add to a memref's elements as far as they lie inside, if what is added to those outside is 0."""
        whole, places, inside = _inside(ref)
        if values[~inside].any():
            return False
        whole[places[inside]] += values[inside]
        return True

    def number(self, ref: MemRef) -> int | float | bool:
        """What a load of one element outside gives."""
        if ref.dtype is BIT:
            return bool(self.pattern & 1)
        return np.full(ref.dtype.itemsize, self.pattern, np.uint8).view(ref.dtype)[0].item()


def _inside(ref: MemRef) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All that a memref's elements may be, where among that each is, and which are there at all."""
    first, last = ref.room
    places = np.full(ref.shape, ref.offset - first, np.int64)
    for axis, (size, stride) in enumerate(zip(ref.shape, ref.strides, strict=True)):
        places += (np.arange(size) * stride).reshape([-1 if axis == here else 1 for here in range(len(ref.shape))])
    whole = MemRef(ref.allocation, first, (last - first,), (1,), ref.dtype).array()
    return whole, places, (places >= 0) & (places < last - first)


class Before:
    """Bytes of global memory from before a launch wrote them: no more of them than the memory that it writes."""

    def __init__(self) -> None:
        self._pages: dict[int, tuple[np.ndarray, dict[int, np.ndarray]]] = {}

    def keep(self, ref: MemRef) -> None:
        """A memref is about to be written; what the workspace holds means nothing."""
        if ref.size and not isinstance(ref.allocation, Workspace):
            steps = [(size - 1) * stride for size, stride in zip(ref.shape, ref.strides, strict=True)]
            low, high = (ref.address + int(sum(pick(step, 0) for step in steps) * ref.itemsize) for pick in (min, max))
            self._keep(ref.allocation, low, high + 1)

    def keep_all(self, allocation: Allocation) -> None:
        """Anything in an allocation may be written."""
        self._keep(allocation, *allocation.room)

    def _keep(self, allocation: Allocation, low: int, high: int) -> None:
        data, kept = self._pages.setdefault(id(allocation.data), (allocation.data, {}))
        for page in range(max(low, 0) // PAGE, (min(high, len(data)) - 1) // PAGE + 1):
            if page not in kept:
                kept[page] = data[page * PAGE : (page + 1) * PAGE].copy()

    def now(self) -> list[tuple[int, int, bytes]]:
        """What is there now, by memory and page."""
        return [
            (place, page, data[page * PAGE : (page + 1) * PAGE].tobytes())
            for place, (data, kept) in sorted(self._pages.items(), key=lambda item: item[0])
            for page in sorted(kept)
        ]

    def back(self) -> None:
        """Put everything back as it was."""
        for data, kept in self._pages.values():
            for page, before in kept.items():
                data[page * PAGE : (page + 1) * PAGE] = before
