"""What element-wise vector operations cost by the layout of their operands, as the device library does them.

The library (AscendNPU-IR v1.2.0, bishengir/lib/Template, Vector/VecUtils.h and Elementwise/EltWise{1,2,3}D.cpp) decides
from strides and alignment whether an operation is one instruction, one repeat a row, one instruction a row, or a loop
on the scalar unit; an operand of one column becomes blocks first.
"""

import functools
import math

from ..core.memory import BLOCK
from .operands import Operand, apart, loops, on_scalar_unit, stretched
from .work import VECTOR, Work, work

REPEAT = 256
"""Bytes that an instruction processes per repeat, however few of its lanes the mask leaves active."""

MAX_REPEATS = 255

MAX_PITCH = 255 * BLOCK
"""Bytes that rows may be apart for one repeat to follow the other."""

RANK = 3
"""Axes of the library's element-wise functions; the compiler loops over those before."""

ROUND_TRIP = (("flag", 2), ("scalar_local", 1))
"""The scalar unit waits for the vector pipe, accesses one element, and the vector pipe waits for it."""

Counts = tuple[tuple[str, float], ...]


@functools.cache
def elementwise_counts(rows: int, columns: int, size: float, repeat: str, near: bool = True) -> Counts:
    """Instructions and repeats over a tile whose rows are apart (``vector_eltwise_2d``); one row is one instruction.

    A row takes whole repeats: one of 8 elements costs what one of 64 does.

    Args:
        near: Whether rows are at most `MAX_PITCH` apart; otherwise each takes instructions of its own.
    """
    lanes = int(REPEAT / size)
    full, tail = divmod(columns, lanes)
    instructions = 0
    if rows == 1:
        instructions = 1
    else:
        if full:
            by_rows = near and rows >= full
            instructions += full * math.ceil(rows / MAX_REPEATS) if by_rows else rows * math.ceil(full / MAX_REPEATS)
        if tail:
            instructions += math.ceil(rows / MAX_REPEATS) if near else rows
    return (
        ("vector_issue", instructions),
        (repeat, rows * math.ceil(columns / lanes)),
        *short_rows(rows, columns * size),
    )


def short_rows(rows: int, length: float) -> Counts:
    """What a tile's rows cost beyond their repeats where one does not fill a repeat: ``short_row`` of the chip."""
    return (("short_row", rows),) if rows > 1 and length < REPEAT else ()


def times(counts: Counts, count: float) -> Counts:
    return tuple((name, number * count) for name, number in counts)


def scalar_loop(elements: float, accesses: int, reason: str) -> Work:
    """The library's fall-back: the scalar unit loads and stores every element, between a flag from the pipe and one
    back."""
    counts = (("scalar_local", accesses * elements), ("flag", 2))
    return work(VECTOR, counts, drains=True, blocks=True, fallback=reason)


def in_blocks(source: Operand) -> Counts:
    """A column's elements, each filling a block of the temporary buffer (``vector_last_axis_brc_2d``)."""
    rows = source.rows
    if rows == 1:
        return (*ROUND_TRIP, ("vector_issue", 1), ("repeat_unary", 1), ("vector_drain", 1))
    if source.strides[-2] != 1:
        return (*times(ROUND_TRIP, rows), ("vector_issue", rows), ("repeat_unary", rows), ("vector_drain", 1))
    repeats = math.ceil(rows / 8)
    most = MAX_REPEATS if source.size == 4 else MAX_REPEATS - 1
    return (("vector_issue", math.ceil(repeats / most)), ("repeat_unary", repeats), ("vector_drain", 1))


@functools.cache
def elementwise_work(operands: tuple[Operand, ...], repeat: str, number_in_block: bool = False) -> Work:
    """The work of an element-wise operation.

    An operation of two vectors takes the time of one for the share of rows that it reads from different bank groups.
    One that reads the same block again and again, be it an element's or a number's, is counted as two.

    Args:
        operands: Sources and, last, the target.
        repeat: The constant of one repeat.
        number_in_block: Whether the other source is a number that the library writes to a block first (it has no such
            instruction: vsub, vdiv).
    """
    jobs = [(_call(call, repeat, number_in_block), count) for call, count in loops(operands, RANK)]
    return joined(jobs)


def joined(jobs: list[tuple[Work, int]]) -> Work:
    """Calls of the library one after the other as one work."""
    if len(jobs) == 1 and jobs[0][1] == 1:
        return jobs[0][0]
    only = [job for job, _ in jobs]
    return work(
        VECTOR,
        sum((times(job.counts, number) for job, number in jobs), ()),
        drains=any(job.drains for job in only),
        blocks=any(job.blocks for job in only),
        fallback=next((job.fallback for job in only if job.fallback), ""),
    )


def _call(operands: tuple[Operand, ...], repeat: str, number_in_block: bool) -> Work:
    *sources, target = operands
    scalars, reason = on_scalar_unit(operands)
    alone = scalar_loop(scalars * target.rows, len(operands), reason)
    if scalars >= target.columns:
        return alone
    columns = target.columns - scalars
    wide = [one for one in sources if stretched(one, target)]
    near = all(one.pitch <= MAX_PITCH for one in operands if one not in wide)
    folds = len(sources) == 2 and not wide and all(one.shape[0] == target.shape[0] for one in sources)
    counts = _tile(target, columns, repeat, near, folds)
    if repeat == "repeat_binary" and not number_in_block and not wide:
        counts = _read_at_once(counts, apart(tuple(sources)))
    outer = math.prod(target.shape[:-2])
    if number_in_block:
        counts += times((("vector_issue", 1), ("vector_drain", 1)), outer)
    for one in wide:
        plane = one._replace(shape=one.shape[-2:], strides=one.strides[-2:])
        counts += times(in_blocks(plane), outer)
    waits = any(name == "flag" for name, _ in counts)
    job = work(VECTOR, counts, drains=waits)
    return joined([(alone, 1), (job, 1)]) if scalars else job


def _tile(target: Operand, columns: int, repeat: str, near: bool, folds: bool) -> Counts:
    """The instruction itself: in 1 axis it counts elements, in 2 it takes a repeat a row, in 3 it goes plane by plane.

    In 3 axes, where it ``folds``, a plane whose rows are blocks side by side is a row (``vector_eltwise_vv_3d_opt``).
    """
    size, shape = target.size, target.shape
    if len(shape) < 3:
        return elementwise_counts(target.rows, columns, size, repeat, near)
    outer, middle, _ = shape[-3:]
    block = int(BLOCK / size)
    if target.strides[-2] == block == columns and outer > 1 and folds:
        return elementwise_counts(outer, middle * columns, size, repeat)
    return times(elementwise_counts(middle, columns, size, repeat, near), outer)


def _read_at_once(counts: Counts, share: float) -> Counts:
    issued, (_, repeats), *more = counts
    split = ("repeat_unary", repeats * share), ("repeat_binary", repeats * (1 - share))
    return (issued, *((name, count) for name, count in split if count), *more)


@functools.cache
def xor_work(operands: tuple[Operand, ...]) -> Work:
    """``vxor``, which the vector unit lacks: and, not, or, and, with a barrier before each but the first."""
    barriers = work(VECTOR, (("vector_drain", 3),))
    jobs = []
    for call, number in loops(operands, RANK - 1):
        target = call[-1]
        both = _call(call, "repeat_binary", False)
        if on_scalar_unit(call)[0] >= target.columns:
            jobs.append((both, number))
            continue
        inverted = _call((target, target), "repeat_unary", False)
        last = _call((target,) * 3, "repeat_binary", False)
        jobs += [(both, 2 * number), (inverted, number), (last, number), (barriers, number)]
    return joined(jobs)
