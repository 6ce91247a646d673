"""What `vbrc` costs: a number, or an axis of size 1, written to all of the target (AscendNPU-IR v1.2.0,
bishengir/lib/Template, Vector/Broadcast/Brc{SinglePoint,LastAxis,FirstAxis,MidAxis}.cpp and BrcUtils.h)."""

import functools
import math

from ..core.memory import BLOCK
from .fallbacks import UNALIGNED_ROWS, UNALIGNED_START
from .operands import Operand, loops
from .vector_costs import MAX_REPEATS, REPEAT, ROUND_TRIP, Counts, in_blocks, joined, scalar_loop, short_rows, times
from .work import VECTOR, Work, work

BARRIER = (("vector_drain", 1),)


@functools.cache
def number_work(target: Operand) -> Work:
    """A number to one or two axes, further ones in a loop; rows of more than a repeat take an instruction each."""
    return joined([(_numbered(call, ()), count) for (call,), count in loops((target,), 2)])


def _numbered(target: Operand, before: Counts) -> Work:
    rows, columns, size = target.rows, target.columns, target.size
    if not target.packed:  # rows of bits are not looked at
        if target.place % BLOCK:
            return scalar_loop(target.elements, 1, UNALIGNED_START)
        if len(target.shape) > 1 and target.strides[-2] * size % BLOCK:
            return scalar_loop(target.elements, 1, UNALIGNED_ROWS)
    if size == 1 and len(target.shape) > 1:
        rows, columns = 1, rows * target.strides[-2]
    if size in (2, 4) and columns * size <= REPEAT:
        issued = math.ceil(rows / MAX_REPEATS)
        counts = (("vector_issue", issued), ("repeat_unary", rows), *short_rows(rows, columns * size))
    else:
        counts = times(_filled(columns, size), rows)
    waits = any(name == "flag" for name, _ in (*before, *counts))
    return work(VECTOR, (*before, *counts), drains=waits)


def _filled(columns: int, size: float) -> Counts:
    """A row of one value; 64-bit elements are written half by half under a mask, bytes in pairs."""
    repeats = math.ceil(columns * size / REPEAT)
    if size == 8:
        return (("vector_issue", 2 * math.ceil(repeats / MAX_REPEATS)), ("repeat_unary", 2 * repeats))
    odd = (("scalar_local", 1), ("flag", 1)) if size == 1 and columns % 2 else ()
    return (("vector_issue", 1), ("repeat_unary", repeats), *odd)


@functools.cache
def broadcast_work(operands: tuple[Operand, Operand], axis: int) -> Work:
    """An axis of size 1 to the target's size: the library has the last of two axes, the first of two or three, and the
    middle of three."""
    source, target = operands
    if len(target.shape) == 1:
        return _numbered(target, ROUND_TRIP)
    rank = 2 if axis == len(target.shape) - 1 else 3
    lead = min(axis, max(0, len(target.shape) - rank))
    calls = loops(operands, len(target.shape) - lead)
    jobs = [(_stretched(*call, axis - lead), count) for call, count in calls]
    return joined(jobs)


def _stretched(source: Operand, target: Operand, axis: int) -> Work:
    inner = math.prod(target.shape[1:-2])
    if len(target.shape) > 3:  # the first of more than three axes: a loop over those behind it
        source, target = (
            one._replace(shape=(one.shape[0], *one.shape[-2:]), strides=(one.strides[0], *one.strides[-2:]))
            for one in (source, target)
        )
        return joined([(_stretched(source, target, axis), inner)])
    if source.place % BLOCK and not source.packed:
        return scalar_loop(target.elements, 2, UNALIGNED_START)
    if axis == len(target.shape) - 1:
        counts = _last(source, target)
    elif axis == 0:
        counts = _first(source, target)
    else:
        counts = _middle(target)
    return work(VECTOR, counts, drains=any(name == "flag" for name, _ in counts))


def _copies(rows: int, columns: int, size: float) -> Counts:
    """vcopy: a row is as many repeats as it needs, and the rows up to 255 of one instruction."""
    return (
        ("vector_issue", math.ceil(rows / MAX_REPEATS)),
        ("repeat_unary", rows * math.ceil(columns * size / REPEAT)),
        *short_rows(rows, columns * size),
    )


def _packed(rows: int, columns: int, size: float) -> Counts:
    """vreducev2: rows of whole blocks moved together; the barriers before and after it."""
    return (("vector_issue", 1), ("repeat_gather", rows * math.ceil(columns * size / REPEAT)), ("vector_drain", 2))


def _last(source: Operand, target: Operand) -> Counts:
    rows, columns, size = target.rows, target.columns, target.size
    if target.packed:
        return _last_of_bits(source, target)
    filled = _filled(columns, size)
    if size in (1, 8):
        whole = target.pitch % BLOCK == 0 or rows == 1
        row_by_row = times((*ROUND_TRIP, *filled), rows)
        return row_by_row if whole or size == 1 else (*row_by_row, *_packed(rows, columns, size))
    if rows == 1 and source.strides[-2] == 1:
        return (*ROUND_TRIP, *filled)
    if target.pitch % BLOCK:
        copied = (*BARRIER, *_copies(rows, columns, size)) if columns * size > BLOCK else ()
        return (*_blocks(source), *copied, *_packed(rows, columns, size))
    if source.strides[-2] != 1 or target.strides[-2] != columns:
        return (("flag", 2), ("scalar_local", rows), *times(filled, rows))
    if rows % 8 == 0 and columns * size == BLOCK:
        return (*_blocks(source), *BARRIER)
    return (*_blocks(source), *BARRIER, *_copies(rows, columns, size), *BARRIER)


def _blocks(source: Operand) -> Counts:
    """vbrcb alone, without the barrier."""
    dense = source._replace(shape=(source.rows, 1), strides=(1, 1))
    return tuple(item for item in in_blocks(dense) if item[0] != "vector_drain") if source.rows > 1 else _one_block()


def _one_block() -> Counts:
    return (("vector_issue", 1), ("repeat_unary", 1))


def _last_of_bits(source: Operand, target: Operand) -> Counts:
    """Rows that are apart one by one; others as 16 bits each, which a selection makes of the source's bits."""
    rows, columns = target.rows, target.columns
    if target.strides[-2] != columns or source.strides[-2] != 1:
        return times((*ROUND_TRIP, *_filled(columns, target.size)), rows)
    halves = Operand((rows, 1), (1, 1), 2, source.place)
    words = math.ceil(columns / 16)
    chosen = (("vector_issue", 3), ("repeat_unary", 2), ("repeat_binary", math.ceil(rows * 2 / REPEAT)))
    return (*chosen, ("vector_drain", 2), *_last(halves, Operand((rows, words), (words, 1), 2, target.place)))


def _first(source: Operand, target: Operand) -> Counts:
    count, size = target.shape[0], target.size
    inner = target.shape[1:]
    columns = inner[0] if len(inner) == 1 else inner[0] * target.strides[1]
    if target.strides[0] * size % BLOCK and size > 1:
        if columns == 1 and target.strides[0] == 1:
            return (*ROUND_TRIP, *_filled(count, size))
        return (*_copies(count, columns, size), *_packed(count, columns, size))
    if len(inner) > 1 and source.strides[1] != target.strides[1]:
        width = min(source.strides[1], target.strides[1])
        return times((("vector_issue", 1), ("repeat_unary", inner[0] * math.ceil(width * size / REPEAT))), count)
    return _copies(count, columns, size)


def _middle(target: Operand) -> Counts:
    outer, count, columns = target.shape
    size = target.size
    if size in (2, 4) and target.strides[1] * size == BLOCK and target.strides[0] == count * columns:
        return _copies(outer, target.strides[0], size)
    return times(_copies(count, columns, size), outer)
