"""What vector operations cost by the layout of their operands, as the device library does them.

The library (AscendNPU-IR v1.2.0, bishengir/lib/Template/lib/Vector) decides from strides and alignment whether
an operation is one instruction, one a row, or a loop on the scalar unit.
"""

import functools
import math

from .memory import BIT, BLOCK, MemRef
from .work import VECTOR, Work, work

REPEAT = 256
"""Bytes that an instruction processes per repeat."""

MAX_REPEATS = 255


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
    """What of the operands' layout decides the cost: rows, columns, and whether the vector unit can do it.

    The last operand is the target. Operands that are contiguous and of one shape count as a single row.
    """
    shape = refs[-1].shape
    rows, columns = refs[-1].rows()
    if all(ref.shape == shape and _flat(ref) for ref in refs):
        rows, columns = 1, rows * columns
    return rows, columns, _vectorizable(refs)


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
def elementwise_work(rows: int, columns: int, vectorizable: bool, size: float, repeat: str, extra: tuple = ()) -> Work:
    """The work of an element-wise operation; what the vector unit cannot do runs on the scalar unit."""
    if not vectorizable:
        return work(VECTOR, (("scalar_local", 3 * rows * columns), ("flag", 4)), drains=True, blocks=True)
    return work(VECTOR, extra + elementwise_counts(rows, columns, size, repeat))
