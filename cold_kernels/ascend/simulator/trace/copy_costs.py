"""What a copy within the unified buffer costs (AscendNPU-IR v1.2.0, bishengir/lib/Template, DMA/Ubuf/Copy{1,2,3}D.cpp
and DMA/DMAUtils.h)."""

import functools
import math

from ..core.memory import BLOCK
from .fallbacks import STRIDED, UNALIGNED_ROWS, UNALIGNED_START
from .operands import Operand, loops
from .vector_costs import MAX_PITCH, MAX_REPEATS, REPEAT, elementwise_counts, joined, scalar_loop, times
from .work import VECTOR, Work, work

MAX_BURSTS = 4095
RANK = 3


@functools.cache
def copy_work(source: Operand, target: Operand) -> Work:
    """Bursts of whole blocks; rows that end within a block as the maximum, or the bits, of the source and itself; what
    lies apart into what lies dense by vreducev2; element by element where rows start at no block."""
    if source.packed:
        source, target = (_as_bytes(one) for one in (source, target))
    return joined([(_copied(*call), count) for call, count in loops((source, target), RANK)])


def _as_bytes(bits: Operand) -> Operand:
    strides = (*(math.ceil(stride / 8) for stride in bits.strides[:-1]), bits.strides[-1])
    return bits._replace(shape=(*bits.shape[:-1], math.ceil(bits.columns / 8)), strides=strides, size=1)


def _copied(source: Operand, target: Operand) -> Work:
    rows, columns, size = target.rows, target.columns, target.size
    aligned = not (source.place % BLOCK or target.place % BLOCK)
    plane = len(target.shape) > 1
    dense = plane and all(one.strides[-2] == columns for one in (source, target))
    if aligned and dense and columns * size % BLOCK and len(target.shape) == 2:
        return work(VECTOR, _row(rows * columns, size))
    if source.strides[-1] != 1 or target.strides[-1] != 1:
        return scalar_loop(target.elements, 2, STRIDED)
    pitches = [stride * size for one in (source, target) for stride in one.strides[:-1]]
    if aligned and plane and size in (2, 4) and target.strides[-2] == columns and not source.pitch % BLOCK:
        most = MAX_REPEATS // int(BLOCK / size) * int(BLOCK / size)
        issues = math.prod(target.shape[:-2]) * math.ceil(target.shape[-2] / most)
        return work(VECTOR, (("vector_issue", issues), ("repeat_gather", rows * math.ceil(columns * size / REPEAT))))
    if any(pitch % BLOCK for pitch in pitches):
        return scalar_loop(target.elements, 2, UNALIGNED_ROWS)
    if aligned:
        return work(VECTOR, _rows(source, target, columns))
    phases = {one.place % BLOCK for one in (source, target)}
    first = int((BLOCK - min(phases)) / size)
    if len(phases) > 1 or first >= columns:
        return scalar_loop(target.elements, 2, UNALIGNED_START)
    rest = work(VECTOR, _rows(source, target, columns - first))
    return joined([(scalar_loop(rows * first, 2, UNALIGNED_START), 1), (rest, 1)])


def _row(elements: int, size: float) -> tuple:
    if elements * size % BLOCK:
        return elementwise_counts(1, elements, size, "repeat_binary")
    return (("vector_issue", 1), ("local_byte", elements * size))


def _rows(source: Operand, target: Operand, columns: int) -> tuple:
    """Rows of one or two axes; of three the longer of the first two is the one that is no loop."""
    size = target.size
    if len(target.shape) == 1:
        return _row(columns, size)
    outer, rows = (1, target.rows) if len(target.shape) == 2 else sorted(target.shape[:2])
    if any(one.shape[-2] > 1 and one.pitch < columns * size for one in (source, target)):
        return times(_row(columns, size), outer * rows)
    if columns * size % BLOCK:
        near = max(source.pitch, target.pitch) <= MAX_PITCH
        return times(elementwise_counts(rows, columns, size, "repeat_binary", near), outer)
    bursts = (("vector_issue", math.ceil(rows / MAX_BURSTS)), ("local_byte", rows * columns * size))
    return times(bursts, outer)
