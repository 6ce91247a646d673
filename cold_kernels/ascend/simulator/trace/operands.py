"""What of an operand's layout decides which route the device library takes.

The library is AscendNPU-IR v1.2.0, bishengir/lib/Template. Sizes and strides are in elements, as in HIVM.
"""

import functools
import math
from typing import NamedTuple

from ..core.memory import BLOCK, MemRef
from .fallbacks import STRIDED, UNALIGNED_ROWS, UNALIGNED_START

GROUPS = 16
"""Bank groups of the unified buffer."""


class Operand(NamedTuple):
    """A memref as far as costs depend on it.

    Args:
        shape: At least one size.
        strides: In elements, one for each size.
        size: Bytes of an element, 1/8 for packed booleans.
        place: Address of its first byte, modulo the 512 bytes after which bank groups repeat.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    size: float
    place: int

    @property
    def rows(self) -> int:
        return math.prod(self.shape[:-1])

    @property
    def columns(self) -> int:
        return self.shape[-1]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def pitch(self) -> int:
        """Bytes from one row to the next; 0 where one row is used for all."""
        return int(self.strides[-2] * self.size) if self.shape[-2:-1] > (1,) else 0

    @property
    def packed(self) -> bool:
        """Whether its elements are bits."""
        return self.size < 1


def operand(ref: MemRef, permutation: tuple[int, ...] = ()) -> Operand:
    """The operand that a memref is, with its axes in another order where the operation says so."""
    shape, strides = (ref.shape, ref.strides) if ref.shape else ((1,), (1,))
    if permutation:
        shape, strides = (tuple(values[axis] for axis in permutation) for values in (shape, strides))
    return Operand(shape, strides, ref.itemsize, ref.address % (GROUPS * BLOCK))


def stretched(source: Operand, target: Operand) -> bool:
    """Whether each element of the source's rows of one is used for a whole row of the target."""
    return source.columns == 1 != target.columns


def on_scalar_unit(operands: tuple[Operand, ...]) -> tuple[int, str]:
    """How many elements of each row of an element-wise operation the scalar unit does, and why.

    ``eltwise_get_element_nums_on_scalar`` in Vector/VecUtils.h: a whole row where elements are not beside each other;
    where rows are no whole blocks apart, unless something is broadcast (then strides are not looked at) or the stride
    is exactly 1; where operands do not start at a block, up to the next block if all are off by the same, else a row.

    Args:
        operands: Sources and, last, the target.
    """
    target = operands[-1]
    if any(one.strides[-1] != 1 for one in operands):
        return target.columns, STRIDED
    broadcast = any(
        n == 1 != m for one in operands[:-1] for n, m in zip(one.shape[::-1], target.shape[::-1], strict=False)
    )
    if not broadcast and any(
        stride != 1 and stride % int(BLOCK / max(1, one.size)) for one in operands for stride in one.strides[:-1]
    ):
        return target.columns, UNALIGNED_ROWS
    phases = {one.place % BLOCK for one in operands}
    if phases == {0}:
        return 0, ""
    if len(phases) > 1:
        return target.columns, UNALIGNED_START
    return min(target.columns, int((BLOCK - phases.pop()) / max(1, target.size))), UNALIGNED_START


def misaligned(one: Operand) -> str:
    """Why a row of an operand is no aligned memref to the library, or "" if it is (``is_memref_aligned``, Utils.h).

    Rows of more than one axis must start at a block each; a single element needs no stride. Bits start at 256 of them.
    """
    lanes = int(BLOCK / one.size)
    if one.place % BLOCK:
        return UNALIGNED_START
    if one.elements == 1:
        return ""
    if one.strides[-1] != 1:
        return STRIDED
    return UNALIGNED_ROWS if len(one.shape) > 1 and one.strides[-2] % lanes else ""


@functools.cache
def loops(operands: tuple[Operand, ...], rank: int) -> tuple[tuple[tuple[Operand, ...], int], ...]:
    """The calls that the compiler makes of an operation of more axes than the library's function has.

    It loops over the leading axes (HIVMToStandard.cpp). Calls whose operands start alike are one entry.

    Returns:
        ``(operands of a call, how many such calls)``.
    """
    target = operands[-1]
    beyond = len(target.shape) - rank
    if beyond <= 0:
        return ((operands, 1),)
    calls: dict[tuple[Operand, ...], int] = {}
    for index in _indices(target.shape[:beyond]):
        call = tuple(_part(one, index[len(index) - (len(one.shape) - rank) :], rank) for one in operands)
        calls[call] = calls.get(call, 0) + 1
    return tuple(calls.items())


def _indices(shape: tuple[int, ...]):
    return [()] if not shape else [(n, *rest) for n in range(shape[0]) for rest in _indices(shape[1:])]


def _part(one: Operand, index: tuple[int, ...], rank: int) -> Operand:
    beyond = len(one.shape) - rank
    if beyond <= 0:
        return one
    steps = zip(index, one.shape, one.strides, strict=False)
    start = sum(n * stride for n, size, stride in steps if size > 1)
    place = int(one.place + start * one.size) % (GROUPS * BLOCK)
    bits = start % 8 if one.packed else 0  # a row that starts within a byte starts at no block either
    return Operand(one.shape[beyond:], one.strides[beyond:], one.size, place or bits)


def apart(sources: tuple[Operand, ...]) -> float:
    """Share of rows of which a repeat reads its sources from different bank groups.

    A repeat is 8 blocks of each source, and block ``n`` is in group ``n`` modulo 16: two sources miss each other only
    where they start 8 groups apart (AscendC sample bank_conflict_ub: 1 cycle a repeat, and 2 otherwise). Where only one
    of them moves on from row to row, as beside a row that is broadcast, every other row of 8 blocks does.
    """
    sources = tuple(one for one in sources if not one.packed)
    if len(sources) < 2:
        return 1.0
    first, second = sources[:2]
    distance = second.place // BLOCK - first.place // BLOCK
    if len(first.shape) != len(second.shape):
        return _share_apart(distance % GROUPS, ())
    axes = []
    for n, m, stride, other in zip(first.shape[:-1], second.shape[:-1], first.strides, second.strides, strict=False):
        step = (other * second.size if m > 1 else 0) - (stride * first.size if n > 1 else 0)
        if step:
            axes.append((max(n, m), int(step) // BLOCK % GROUPS))
    return _share_apart(distance % GROUPS, tuple(axes))


@functools.cache
def _share_apart(distance: int, axes: tuple[tuple[int, int], ...]) -> float:
    """How often sources start 8 groups apart which do so by ``distance`` first, and by so much more a step along axes
    of (steps, groups a step)."""
    ways = {distance: 1.0}
    for count, step in axes:
        after: dict[int, float] = {}
        for start, share in ways.items():
            for turn in range(min(count, GROUPS)):  # 16 steps come back to where they began
                times = len(range(turn, count, GROUPS))
                place = (start + turn * step) % GROUPS
                after[place] = after.get(place, 0.0) + share * times / count
        ways = after
    return ways.get(GROUPS // 2, 0.0)
