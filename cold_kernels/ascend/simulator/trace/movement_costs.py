"""What operations cost that make elements or place them elsewhere (AscendNPU-IR v1.2.0, bishengir/lib/Template,
Vector/{Arange,Transpose,Gather,Deinterleave,Interleave,Sort}).

Assumed, with no public figure: a repeat of vreducev2, vbitsort or vmrgsort4 takes as long as a gather's, however few
elements it moves, and one of vnchwconv, of 512 bytes, as long as four.
"""

import functools
import math

from ..core.memory import BLOCK
from .fallbacks import INT64, ORDER, SIZE, STRIDED, UNALIGNED_ROWS, UNALIGNED_START
from .operands import Operand, loops, misaligned
from .vector_costs import MAX_REPEATS, REPEAT, ROUND_TRIP, Counts, elementwise_counts, joined, scalar_loop, times
from .work import VECTOR, Work, work

GATHERED = 64
"""Elements of any type that a gather takes in the time of a repeat (msKPP: 5.2 a cycle of 16 bits, 5.3 of 32)."""

SORTED_TOGETHER = 32
"""Elements that a repeat of vbitsort sorts."""

PROPOSAL = 8
"""Bytes of an element beside its index, as the sorting instructions keep it."""

CONVERTED = 4
"""Repeats of a gather that one of vnchwconv counts as."""


@functools.cache
def arange_work(target: Operand, steps: tuple[int, ...]) -> Work:
    """Numbers: a block by the scalar unit, doubled by the vector unit; of several axes all by the scalar unit.

    Where several axes count on as one does, the library does both, one after the other (Arange{2,3}D.cpp).

    Args:
        steps: What is added from one element to the next along each axis.
    """
    if len(target.shape) == 1:
        if target.strides[0] != 1:
            return scalar_loop(target.elements, 1, STRIDED)
        return _counted(target.elements, target.size)
    loop = work(VECTOR, (("scalar_local", target.elements),), blocks=True, fallback=ORDER)
    span, on = 1, bool(steps[-1])
    for size, step in zip(target.shape[:0:-1], steps[-2::-1], strict=True):
        span *= size
        on = on and step == span * steps[-1]
    return joined([(_counted(target.elements, target.size), 1), (loop, 1)]) if on else loop


def _counted(elements: int, size: float) -> Work:
    first = min(int(BLOCK / size), elements)
    begin = (("flag", 2), ("scalar_local", first))
    doublings = max(0, math.ceil(math.log2(elements / first))) if elements else 0
    if size == 8:
        again = (("scalar_local", 2 * (elements - first)), ("flag", 2 * doublings), ("vector_drain", doublings))
        return work(VECTOR, (*begin, *again), drains=True, blocks=True, fallback=INT64)
    repeats = sum(
        math.ceil(min(first << turn, elements - (first << turn)) * size / REPEAT) for turn in range(doublings)
    )
    counts = (("vector_issue", doublings), ("vector_drain", max(0, doublings - 1)), ("repeat_unary", repeats))
    return work(VECTOR, (*begin, *counts), drains=True)


@functools.cache
def transpose_work(operands: tuple[Operand, Operand], permutation: tuple[int, ...]) -> Work:
    """Two axes of up to three change places; further ones in a loop.

    Rows that stay whole are copied, a burst each and at least a cycle; others go through vnchwconv, 512 bytes a repeat,
    eight-byte elements four by four. Both need whole blocks (Transpose{2,3}D.cpp).
    """
    source, target = operands
    if permutation[-1] == len(permutation) - 1:
        return _rows_moved(source, target)
    if len(permutation) < 2:
        return work(VECTOR, ())
    other = -2 if permutation[-2:] == (len(permutation) - 1, len(permutation) - 2) else 0
    rows, columns = source.shape[other], source.columns
    number = source.elements // max(1, rows * columns)
    if reason := _apart_from_blocks(source, target, other):
        return joined([(scalar_loop(rows * columns, 2, reason), number)])
    if rows == columns == 1:
        return joined([(work(VECTOR, (("flag", 2), ("scalar_local", 2)), drains=True, fallback=SIZE), number)])
    return joined([(work(VECTOR, _converted(rows, columns, source.size)), number)])


def _apart_from_blocks(source: Operand, target: Operand, axis: int) -> str:
    """Why the axis that changes places with the last one has rows of no whole blocks, or "" if it has."""
    if source.place % BLOCK or target.place % BLOCK:
        return UNALIGNED_START
    pitches = [one.strides[axis] * one.size for one in (source, target)]
    if any(pitch % BLOCK for pitch in pitches):
        return UNALIGNED_ROWS
    return UNALIGNED_ROWS if source.size == 4 and all(pitch % (2 * BLOCK) for pitch in pitches) else ""


def _converted(rows: int, columns: int, size: float) -> Counts:
    block = int(BLOCK / size)
    rows, columns = (math.ceil(n / block) * block for n in (rows, columns))
    if size == 8:  # copied to a buffer, two conversions with copies between, copied back: four barriers and more
        tiles = rows // 4 * (columns // 4)
        conversions = (("vector_issue", 8), ("repeat_gather", 8 * CONVERTED), ("vector_drain", 5))
        return times((*conversions, ("local_byte", 2 * 4 * BLOCK + 4 * 16 * BLOCK)), tiles)
    if size == 4 and (rows % 16 and columns % 16):
        columns = math.ceil(columns / 16) * 16
    tall = {1: 32, 2: 16, 4: 16 if rows % 16 == 0 else 8}[int(size)]
    wide = {1: 32, 2: 16, 4: 8 if tall == 16 else 16}[int(size)]
    down, across = rows // tall, columns // wide
    each = 4 if size == 1 else 1
    repeats = down * across * each
    return (("vector_issue", min(down, across) * each), ("repeat_gather", repeats * CONVERTED), ("vector_drain", 1))


def _rows_moved(source: Operand, target: Operand) -> Work:
    shape, size = target.shape, target.size
    if len(shape) < 3:
        return work(VECTOR, ())
    reason = UNALIGNED_START if source.place % BLOCK or target.place % BLOCK else ""
    if source.strides[-1] != 1 or target.strides[-1] != 1:
        reason = STRIDED
    elif any(stride * size % BLOCK for one in (source, target) for stride in one.strides[:-1]):
        reason = UNALIGNED_ROWS
    if reason:
        return scalar_loop(target.elements, 2, reason)
    bursts = target.elements // shape[-1]
    repeats = bursts * math.ceil(shape[-1] * size / REPEAT)
    return work(VECTOR, (("vector_issue", bursts // max(shape[:-1])), ("repeat_unary", repeats)))


@functools.cache
def gather_work(source: Operand, indices: Operand, target: Operand) -> Work:
    """By indices into the last axis, a row at a time: indices to addresses in two steps, then the gather."""
    return joined([(_gathered(*call), count) for call, count in loops((source, indices, target), 1)])


def _gathered(source: Operand, indices: Operand, target: Operand) -> Work:
    elements = target.columns
    if indices.place % BLOCK or target.place % BLOCK:
        return scalar_loop(elements, 3, UNALIGNED_START)
    if indices.strides[-1] != 1 or target.strides[-1] != 1:
        return scalar_loop(elements, 3, STRIDED)
    if source.columns == 1:
        return scalar_loop(elements, 1, SIZE)
    repeats = math.ceil(elements * 4 / REPEAT)
    gathered = math.ceil(elements / GATHERED)
    counts = (("vector_issue", 3), ("repeat_unary", 2 * repeats), ("repeat_gather", gathered), ("vector_drain", 2))
    return work(VECTOR, counts)


@functools.cache
def flip_work(source: Operand, target: Operand) -> Work:
    """The last axis backwards, which the library has on the scalar unit alone."""
    return joined([(scalar_loop(source.columns, 2, ORDER), source.rows)])


@functools.cache
def pick_work(source: Operand, target: Operand, skipping: bool) -> Work:
    """One channel: an element a repeat where the stride skips the others, else whole repeats, a row at a time."""
    if skipping:
        return work(VECTOR, (("vector_issue", 1), ("repeat_gather", target.elements)))
    return joined([(_picked(*call), count) for call, count in loops((source, target), 1)])


def _picked(source: Operand, target: Operand) -> Work:
    if reason := misaligned(source) or misaligned(target):
        return scalar_loop(target.columns, 2, reason)
    return work(VECTOR, (("vector_issue", 1), ("repeat_gather", math.ceil(source.columns * source.size / REPEAT))))


@functools.cache
def weave_work(even: Operand, odd: Operand, whole: Operand) -> Work:
    """Two rows into one: each element twice (to a block by vbrcb, two of it by vreducev2), then a select by alternating
    bits, whose address goes through the scalar unit."""
    return joined([(_woven(*call), count) for call, count in loops((even, odd, whole), 1)])


def _woven(even: Operand, odd: Operand, whole: Operand) -> Work:
    columns, size = even.columns, whole.size
    if reason := misaligned(even) or misaligned(odd) or misaligned(whole):
        return scalar_loop(columns, 4, reason)
    if columns == 1:
        twice = (*ROUND_TRIP, ("vector_issue", 1), ("repeat_unary", 1))
    else:
        repeats = math.ceil(columns / 8)
        twice = (("vector_issue", math.ceil(repeats / MAX_REPEATS) + 1), ("repeat_unary", repeats))
        twice += (("repeat_gather", columns), ("vector_drain", 2))
    bits = (("vector_issue", 1), ("repeat_unary", math.ceil(columns / 4 / REPEAT)), ("vector_drain", 1))
    choose = (*ROUND_TRIP, ("vector_drain", 1), *elementwise_counts(1, 2 * columns, size, "repeat_binary"))
    return work(VECTOR, (*twice, *twice, *bits, *choose), drains=True)


@functools.cache
def sort_work(source: Operand, descending: bool) -> Work:
    """A row at a time: number the elements, fill the row up to a multiple of 32 by the scalar unit, sort them by 32,
    merge four lists into one until there is one, take the values out. Rows are dense."""
    size, filled = source.size, -source.columns % SORTED_TOGETHER
    columns = source.columns + filled
    pairs = math.ceil(columns * PROPOSAL / REPEAT)
    counts = _counted(columns, 4).counts
    repeats = columns // SORTED_TOGETHER
    counts += (("flag", 2), ("scalar_local", filled), ("vector_drain", 2))
    counts += (("vector_issue", math.ceil(repeats / MAX_REPEATS)), ("repeat_gather", repeats))
    lists = repeats
    while lists > 1:
        counts += (("vector_issue", 1 + (lists % 4 > 0)), ("repeat_gather", pairs), ("vector_drain", 2))
        lists = math.ceil(lists / 4)
    counts += (("vector_issue", 1), ("repeat_gather", pairs), ("vector_drain", 1))
    if not descending:  # the instructions sort downwards only: the sign bit is turned before and after
        turned = elementwise_counts(1, columns, size, "repeat_unary")
        counts += (("vector_drain", 2), *turned, *turned)
    return joined([(work(VECTOR, counts, drains=True), source.rows)])
