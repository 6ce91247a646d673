"""What casts cost, of one or two axes and over further ones in a loop (AscendNPU-IR v1.2.0, bishengir/lib/Template,
Vector/Cast/{Cast1D,Cast2D}.cpp and CastUtils.h)."""

import functools
import math

from .mask_costs import mask_from_memory
from .operands import Operand, loops, misaligned
from .vector_costs import MAX_PITCH, MAX_REPEATS, REPEAT, Counts, elementwise_counts, joined, scalar_loop, times
from .work import VECTOR, Work, work

RANK = 2

CONVERTED = 512
"""Bytes that a repeat of vnchwconv, which transposes within blocks, takes."""


@functools.cache
def cast_work(operands: tuple[Operand, Operand], low_bits: bool = False) -> Work:
    """One instruction on elements of the wider type; rows that start at no block go to the scalar unit, one by one.

    Args:
        operands: Source and target.
        low_bits: Whether integers keep their low bits, which for a target of 8 bits takes transposes.
    """
    return joined([(_converted(call, low_bits), count) for call, count in loops(operands, RANK)])


def _converted(operands: tuple[Operand, Operand], low_bits: bool) -> Work:
    source, target = operands
    if reason := misaligned(source) or misaligned(target):
        barrier = work(VECTOR, (("vector_drain", 1),)) if source.rows > 1 else work(VECTOR, ())
        return joined([(scalar_loop(source.columns, 2, reason), source.rows), (barrier, source.rows)])
    if source.packed:
        return work(VECTOR, _from_bits(source.rows, source.columns, target.size), drains=True)
    if low_bits and target.size == 1:
        return work(VECTOR, _low_bytes(source, target))
    size = max(source.size, target.size)
    # The library compares both pitches, in elements, with 255 blocks of the wider type.
    near = max(source.strides[-2:-1] + target.strides[-2:-1], default=0) * size <= MAX_PITCH
    return work(VECTOR, elementwise_counts(source.rows, source.columns, size, "repeat_unary", near))


def _from_bits(rows: int, columns: int, size: float) -> Counts:
    """A selection between one and zero, a row at a time."""
    chosen = (("vector_issue", 1), ("repeat_binary", math.ceil(columns * size / REPEAT)))
    return times((*mask_from_memory(1), *chosen), rows)


def _low_bytes(source: Operand, target: Operand) -> Counts:
    """Bytes become columns, of which every second or fourth stays: two transposes and a copy between them."""
    rows, bytes_ = source.rows, source.columns * source.size
    repeats = math.ceil(rows / 32) * math.ceil(bytes_ / 32) * 2
    kept = math.ceil(rows / 32) * math.ceil(target.columns / 32) * 2
    moved = (("vector_issue", 1), ("local_byte", target.columns * 32 * math.ceil(rows / 32)))
    issues = (("vector_issue", math.ceil(repeats / MAX_REPEATS) + math.ceil(kept / MAX_REPEATS)),)
    gathered = (("repeat_gather", (repeats + kept) * CONVERTED / REPEAT),)
    return (*issues, *gathered, ("vector_drain", 2), *moved)
