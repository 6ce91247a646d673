"""What comparisons and selections cost: functions of one row each, over which the compiler loops (AscendNPU-IR v1.2.0,
bishengir/lib/Template, Vector/CmpSel/{Cmp1D,Sel1D}.cpp and {Cmp,Sel}Utils.h)."""

import functools
import math

from .fallbacks import INT64, SIZE
from .operands import Operand, apart, loops, misaligned
from .vector_costs import MAX_REPEATS, REPEAT, ROUND_TRIP, Counts, joined, scalar_loop, times
from .work import VECTOR, Work, work

RANK = 1

NUMBER = (("vector_issue", 1), ("repeat_unary", 1))
"""A number written to one block."""


@functools.cache
def compare_work(operands: tuple[Operand, ...], inverts: bool = False, room: bool = True) -> Work:
    """A comparison: whole repeats of each row, or its elements one by one where a row starts at no block.

    Bits of a row start at a block only where it is 256 elements from the row before.

    Args:
        operands: One or two sources and, last, the bits.
        inverts: Whether it is a ``ne`` of int32, which is an ``eq`` turned round.
        room: Whether the unified buffer goes on for the whole of each source's last repeat; if not, what is beyond
            the last full repeat goes to the scalar unit.
    """
    return joined([(_compared(call, inverts, room), count) for call, count in loops(operands, RANK)])


def _compared(operands: tuple[Operand, ...], inverts: bool, room: bool) -> Work:
    *sources, bits = operands
    elements, size = sources[0].columns, sources[0].size
    accesses = len(operands) + 1  # the byte of bits is read and written
    if reason := next(filter(None, map(misaligned, operands)), ""):
        return scalar_loop(elements, accesses, reason)
    lanes = int(REPEAT / size)
    tail = 0 if room else elements % lanes
    counts = _vector(tuple(sources), elements - tail, inverts)
    if not tail:
        return work(VECTOR, counts)
    job = work(VECTOR, (*counts, ("vector_drain", 1 if counts else 0)))
    return joined([(job, 1), (scalar_loop(tail, accesses, SIZE), 1)])


def _vector(sources: tuple[Operand, ...], elements: int, inverts: bool) -> Counts:
    size = sources[0].size
    repeats = math.ceil(elements * size / REPEAT)
    most = 32 * (MAX_REPEATS * _bytes(size) // 32) // _bytes(size)
    share = apart(sources)
    both = ("repeat_unary", repeats * share), ("repeat_binary", repeats * (1 - share))
    counts = (("vector_issue", math.ceil(repeats / most)), *(item for item in both if item[1]))
    if inverts:
        turned = math.ceil(elements / 8 / REPEAT)
        counts += (("vector_drain", 1), ("vector_issue", 1), ("repeat_unary", turned))
    return counts if repeats else ()


def _bytes(size: float) -> int:
    """Bytes of bits that a repeat of a comparison makes."""
    return int(REPEAT / size) // 8


@functools.cache
def select_work(operands: tuple[Operand, ...], numbers: int, wide: bool) -> Work:
    """A selection by bits, a row at a time; the address of the bits goes through the scalar unit each time.

    Args:
        operands: The condition, the sources that are vectors and, last, the target.
        numbers: How many sources are numbers; each is written to a block first.
        wide: Whether the elements have 64 bits: then the scalar unit selects, but for a condition of bytes.
    """
    return joined([(_selected(call, numbers, wide, first), n) for call, n, first in _rows(operands)])


def _rows(operands: tuple[Operand, ...]):
    """The calls, the first one apart from the others: those wait for the one before them."""
    for place, (call, count) in enumerate(loops(operands, RANK)):
        if not place:
            yield call, 1, True
            count -= 1
        if count:
            yield call, count, False


def _selected(operands: tuple[Operand, ...], numbers: int, wide: bool, first: bool) -> Work:
    condition, *_, target = operands
    by_bytes = not condition.packed
    if wide and not by_bytes:
        return scalar_loop(target.columns, len(operands), INT64)
    if reason := next(filter(None, map(misaligned, operands)), ""):
        return scalar_loop(target.columns, len(operands), reason)
    sources = 2 * target.columns if wide else target.columns
    counts = mask_from_memory(numbers, first)
    if wide:  # bytes to f16, to i32, both halves alike, and compared with zero: two bits for each element
        f16, i32 = (math.ceil(target.columns * size / REPEAT) for size in (2, 4))
        counts += (("vector_issue", 4), ("vector_drain", 4), ("repeat_unary", f16 + 3 * i32))
    size = 4 if wide else max(2, target.size)
    counts += (("vector_issue", 1), ("repeat_binary", math.ceil(sources * size / REPEAT)))
    return work(VECTOR, counts, drains=True)


def mask_from_memory(numbers: int, first: bool = True) -> Counts:
    """What comes before a selection: numbers to blocks, the mask's address through the scalar unit, a barrier."""
    waits = 1 + (numbers > 0 or not first)
    return (*times(NUMBER, numbers), *ROUND_TRIP, ("vector_drain", waits))
