"""What vector operations cost by the layout of their operands, as the device library does them.

The library (AscendNPU-IR v1.2.0, bishengir/lib/Template/lib/Vector) decides from strides and alignment whether
an operation is one instruction, one a row, or a loop on the scalar unit.
"""

import functools
import math

from ..core.memory import BIT, BLOCK, MemRef
from .work import VECTOR, Work, work

REPEAT = 256
"""Bytes that an instruction processes per repeat."""

MAX_REPEATS = 255

GROUPS = 16
"""Bank groups of the unified buffer."""


@functools.cache
def elementwise_counts(rows: int, columns: int, size: float, repeat: str) -> tuple[tuple[str, float], ...]:
    """Instructions and repeats over a tile whose rows are apart (`E2D` of the library); one row is one."""
    lanes = int(REPEAT / size)
    full, tail = divmod(columns, lanes)
    instructions = 0
    if rows == 1:
        instructions = 1
    else:
        if full:
            chunks = full * math.ceil(rows / MAX_REPEATS) if rows >= full else rows * math.ceil(full / MAX_REPEATS)
            instructions += chunks
        if tail:
            instructions += math.ceil(rows / MAX_REPEATS)
    return (("vector_issue", instructions), (repeat, rows * math.ceil(columns / lanes)))


def layout(*refs: MemRef) -> tuple:
    """What of the operands' layout decides the cost: rows, columns, whether the vector unit can do it, and how often at
    once.

    The last operand is the target. Operands that are contiguous and of one shape count as a single row. At once is the
    share of rows for which no two sources are read from the same bank groups.
    """
    shape = refs[-1].shape
    rows, columns = refs[-1].rows()
    if all(ref.shape == shape and _flat(ref) for ref in refs):
        rows, columns = 1, rows * columns
    return rows, columns, _vectorizable(refs), _apart(refs[:-1])


def _apart(sources: tuple[MemRef, ...]) -> float:
    """Share of rows of which a repeat reads its sources from different bank groups.

    A repeat is 8 blocks of each source, and block ``n`` is in group ``n`` modulo 16: two sources miss each other only
    where they start 8 groups apart (AscendC sample bank_conflict_ub: 1 cycle a repeat, and 2 otherwise). Where only one
    of them moves on from row to row, as beside a row that is broadcast, every other row of 8 blocks does.
    """
    sources = tuple(ref for ref in sources if ref.dtype is not BIT)
    if len(sources) < 2:
        return 1.0
    first, second = sources[:2]
    distance = second.address // BLOCK - first.address // BLOCK
    if len(first.shape) != len(second.shape):
        return _share_apart(distance % GROUPS, ())
    steps = ((ref.itemsize, ref.shape, ref.strides) for ref in (first, second))
    (size, shape, strides), (other_size, other_shape, others) = steps
    axes = []
    for n, m, stride, other in zip(shape[:-1], other_shape[:-1], strides, others, strict=False):
        step = (other * other_size if m > 1 else 0) - (stride * size if n > 1 else 0)
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


def _flat(ref: MemRef) -> bool:
    dense = 1
    for size, stride in zip(reversed(ref.shape), reversed(ref.strides), strict=True):
        if size != 1 and stride != dense:
            return False
        dense *= size
    return True


def _vectorizable(refs: tuple[MemRef, ...]) -> bool:
    for ref in refs:
        if ref.shape and ref.shape[-1] > 1 and ref.strides[-1] != 1:
            return False
        if ref.dtype is not BIT and any(
            size > 1 and stride * ref.itemsize % BLOCK
            for size, stride in zip(ref.shape[:-1], ref.strides[:-1], strict=True)
        ):
            return False
    phases = {ref.address % BLOCK for ref in refs}
    return len(phases) == 1


@functools.cache
def elementwise_work(
    rows: int, columns: int, vectorizable: bool, at_once: float, size: float, repeat: str, extra: tuple = ()
) -> Work:
    """The work of an element-wise operation; what the vector unit cannot do runs on the scalar unit.

    An operation of two vectors takes the time of one for the share of rows that it reads ``at_once``. One with a number
    in a vector's place, which is what ``extra`` makes of it, is counted as two.
    """
    if not vectorizable:
        return work(VECTOR, (("scalar_local", 3 * rows * columns), ("flag", 4)), drains=True, blocks=True)
    counts = extra + elementwise_counts(rows, columns, size, repeat)
    if repeat == "repeat_binary" and at_once and not extra:
        issued, (_, repeats) = counts
        shares = ("repeat_unary", repeats * at_once), ("repeat_binary", repeats * (1 - at_once))
        counts = (issued, *((name, count) for name, count in shares if count))
    return work(VECTOR, counts)
