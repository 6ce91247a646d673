"""What reductions and running sums cost by type, axis and size (AscendNPU-IR v1.2.0, bishengir/lib/Template,
Vector/Reduction/Reduce{R,AR,AAR,RA,RA0A1,ARA}*.cpp, Reduce{AR,RA}Impl.h, ReductionUtils.h and Vector/Cumulative)."""

import functools
import math

from ..core.memory import BLOCK
from .fallbacks import STRIDED, TYPE, UNALIGNED_ROWS, UNALIGNED_START
from .operands import Operand, loops
from .vector_costs import MAX_REPEATS, REPEAT, Counts, elementwise_counts, joined, scalar_loop, times
from .work import VECTOR, Work, work

BARRIER = (("vector_drain", 1),)
BITWISE = ("xori", "ori", "andi")
IN_PAIRS = ("sum", "prod")
"""What the scalar unit folds in a buffer, half by half; other kinds it folds into the result."""


@functools.cache
def reduce_work(kind: str, dtype: str, source: Operand, target: Operand, axis: int) -> Work:
    """One axis of a tile; what is beyond the axes that the library takes is a loop around it.

    Args:
        kind: ``sum``, ``prod``, ``max``, ``min``, ``xori``, ``ori``, ``andi`` or ``max_with_index_left`` and its like.
        dtype: Of the elements, as HIVM names it.
        source: What is reduced.
        target: The result, with size 1 along the axis.
    """
    most = 2 if "index" in kind else 3
    rank = len(source.shape)
    if rank == 1:
        return _row(kind, dtype, source)
    lead = min(axis, max(0, rank - most))
    jobs = []
    for (into, part), count in loops((target, source), rank - lead):
        while len(part.shape) > most:  # the first of more axes: a loop over those behind it
            count *= part.shape[1]
            part, into = (_without(one, 1) for one in (part, into))
        jobs.append((_tile(kind, dtype, part, into, axis - lead), count))
    return joined(jobs)


def _without(one: Operand, axis: int) -> Operand:
    return one._replace(
        shape=one.shape[:axis] + one.shape[axis + 1 :], strides=one.strides[:axis] + one.strides[axis + 1 :]
    )


def _tile(kind: str, dtype: str, source: Operand, target: Operand, axis: int) -> Work:
    rank = len(source.shape)
    if axis == rank - 1:
        if rank == 2:
            return _rows(kind, dtype, source, target)
        return _planes_of_rows(kind, dtype, source, target)
    if rank == 2:
        return _columns(kind, source, target)
    return _first_of_three(kind, source, target) if axis == 0 else _middle(kind, source, target)


def _fold(kind: str, rows: int, columns: int, size: float) -> Counts:
    """Two tiles onto each other; a vector unit without xor takes four operations."""
    one = elementwise_counts(rows, columns, size, "repeat_binary")
    if kind != "xori":
        return one
    return (*times(one, 3), *elementwise_counts(rows, columns, size, "repeat_unary"), ("vector_drain", 3))


def _halves(kind: str, rows: int, columns: int, least: int, size: float) -> Counts:
    """Columns folded in halves down to ``least``, with a barrier before each fold (``reduceARxToARyByDichotomy``).

    What is beyond the greatest power of two comes onto the first fold; without a fold the first columns are copied.
    """
    main = 1 << (columns.bit_length() - 1)
    tail, width = columns - main, main // 2 if main > least else main
    total = (*BARRIER, *_fold(kind if main > least else "max", rows, width, size))
    for start in range(0, tail, width):
        total += (*BARRIER, *_fold(kind, rows, min(width, tail - start), size))
    while width > least:
        width //= 2
        total += (*BARRIER, *_fold(kind, rows, width, size))
    return total


def _crosses_lanes(kind: str, dtype: str) -> bool:
    return dtype in ("f16", "f32") and kind not in ("prod", *BITWISE)


def _repeat(kind: str, dtype: str) -> str:
    return "repeat_sum" if kind == "sum" and dtype == "f32" else "repeat_extreme"


def _scalar(kind: str, rows: int, columns: int, reason: str) -> Work:
    """Every element once, each result, and in pairs also the buffer: half of the elements written, then read."""
    results = 2 if "index" in kind else 1
    buffered = 1.5 * columns if kind in IN_PAIRS else 0
    return scalar_loop(rows * (columns + results + buffered), 1, reason)


def _row(kind: str, dtype: str, source: Operand) -> Work:
    """One row: across lanes into a register, which the scalar unit stores; a sum as a tile of one row."""
    size, columns = source.size, source.columns
    if source.strides[0] != 1:
        return _scalar(kind, 1, columns, STRIDED)
    if source.place % BLOCK:
        # The library takes the elements up to the next block apart, for extremes; sums go to the scalar unit whole.
        first = min(columns, int((BLOCK - source.place % BLOCK) / size))
        if kind in IN_PAIRS or "index" in kind or first == columns:
            return _scalar(kind, 1, columns, UNALIGNED_START)
        rest = _row(kind, dtype, source._replace(shape=(columns - first,), place=0))
        return joined([(rest, 1), (_scalar(kind, 1, first, UNALIGNED_START), 1)])
    if not _crosses_lanes(kind, dtype) or kind == "sum":
        row = source._replace(shape=(1, columns), strides=(math.ceil(columns * size / BLOCK) * int(BLOCK / size), 1))
        return _rows(kind, dtype, row, row._replace(shape=(1, 1), strides=(1, 1)))
    lanes = int(REPEAT / size)
    last = (("vector_issue", 1), ("flag", 2), ("vector_drain", 1))
    if "index" in kind:
        repeats = math.ceil(columns / lanes)
        return work(VECTOR, (*last, (_repeat(kind, dtype), repeats), ("scalar_local", 2)), blocks=True)
    before: Counts = ()
    if columns > lanes:  # every repeat onto one, which starts as the least value
        before = (("vector_issue", 1), ("repeat_unary", 1), ("vector_drain", 1), *_onto_one(columns, lanes), *BARRIER)
    return work(VECTOR, (*before, *last, (_repeat(kind, dtype), 1), ("scalar_local", 1)), blocks=True)


def _onto_one(columns: int, lanes: int) -> Counts:
    """All repeats of a row onto one of 256 bytes (``reduceRToR0``): a barrier before each instruction."""
    full, tail = divmod(columns, lanes)
    issues = math.ceil(full / MAX_REPEATS) + (tail > 0)
    return (("vector_issue", issues), ("repeat_binary", full + (tail > 0)), ("vector_drain", issues))


def _rows(kind: str, dtype: str, source: Operand, target: Operand) -> Work:
    """The last of two axes."""
    rows, columns, size = source.rows, source.columns, source.size
    block, lanes = int(BLOCK / size), int(REPEAT / size)
    indexed = "index" in kind
    dense = source.strides[0] == columns and target.strides[0] == 1
    sums = kind == "sum" and _crosses_lanes(kind, dtype) and columns <= block and dense
    power = not columns & (columns - 1)
    if source.place % BLOCK or (sums and target.place % BLOCK):
        return _scalar(kind, rows, columns, UNALIGNED_START)
    if source.strides[0] * size % BLOCK and not (sums and power) and not (indexed and columns == 1 and dense):
        return _scalar(kind, rows, columns, UNALIGNED_ROWS)
    begin = () if indexed else (("flag", 1),)
    if not _crosses_lanes(kind, dtype):
        return _by_moves(kind, rows, columns, size)
    if sums and power and columns > 1:
        return work(VECTOR, (*begin, *_block_sums(rows, columns, lanes, size)), drains=True)
    if indexed and columns > lanes:
        row = source._replace(shape=(columns,), strides=(1,))
        return joined([(_row(kind, dtype, row), rows)])
    folded = () if indexed or columns <= lanes else _halves(kind, rows, columns, lanes, size)
    together = target.strides[0] == 1
    calls = math.ceil(rows / MAX_REPEATS) if together else rows
    both = 2 if indexed else 1
    last = (("vector_drain", calls), ("vector_issue", calls * both), (_repeat(kind, dtype), rows * both))
    return work(VECTOR, (*begin, *folded, *last), drains=not indexed)


def _block_sums(rows: int, columns: int, lanes: int, size: float) -> Counts:
    """Sums of at most a 32-byte block each, side by side: one instruction for whole blocks, else pair by pair."""
    if columns == int(BLOCK / size):
        repeat = "repeat_unary" if size == 4 else "repeat_extreme"
        return (("vector_issue", 1), (repeat, math.ceil(rows * columns / lanes)))
    total: Counts = ()
    barrier = BARRIER if columns > 2 else ()
    while columns > 1:
        total += (("vector_issue", 1), ("repeat_unary", math.ceil(rows * columns / lanes)), *barrier)
        columns //= 2
    return total


def _by_moves(kind: str, rows: int, columns: int, size: float) -> Work:
    """What no instruction reduces across lanes: the vector unit folds rows down to a block, and within it the scalar
    unit moves half of the elements aside before each fold (``reduceAR1ToAByDichotomy``)."""
    stays = 1
    if kind in BITWISE:  # on halves of 16 bits, of which an element's stay apart; bytes in pairs
        stays = max(1, int(size // 2))
        columns, size = math.ceil(columns * size / 2), 2
    block, lanes = int(BLOCK / size), int(REPEAT / size)
    fills = (("vector_issue", 1), ("repeat_unary", math.ceil(rows * min(lanes, max(block, columns)) / lanes)))
    if columns > lanes:
        if rows > columns // lanes or kind == "xori":
            full, tail = divmod(columns, lanes)
            steps = times((*BARRIER, *_fold(kind, rows, lanes, size)), full)
            steps += (*BARRIER, *_fold(kind, rows, tail, size)) if tail else ()
        else:
            steps = times(_onto_one(columns, lanes), rows)
        counts = (*fills, *steps, *_halves(kind, rows, lanes, block, size))
    elif columns > block:
        counts = _halves(kind, rows, columns, block, size)
    else:
        counts = (*fills, *BARRIER, *_fold(kind, rows, columns, size))
    width, accesses, rounds = block, 0, 0
    while width > stays:
        width //= 2
        accesses += 2 * rows * width
        rounds += 1
    eights, rest = divmod(rows, 8)
    issues = (math.ceil(eights / MAX_REPEATS) if eights else 0) + (rest > 0)
    each = (("vector_issue", issues), ("repeat_binary", eights + (rest > 0)), ("vector_drain", issues + 1))
    if kind == "xori":
        each = (*times(each, 3), ("vector_issue", issues), ("repeat_unary", eights + (rest > 0)))
    moved = (("scalar_local", accesses + 2 * rows * stays), ("flag", 2 * rounds + 2))
    counts = (("flag", 1), *counts, *times(each, rounds), *moved)
    return work(VECTOR, counts, drains=True, blocks=True, fallback=TYPE)


def _planes_of_rows(kind: str, dtype: str, source: Operand, target: Operand) -> Work:
    """The last of three axes: as one tile where rows are equally far apart, else plane by plane."""
    (outer, _, columns), (far, near, _) = source.shape, source.strides
    a_plane = far // near if near and far % near == 0 else 0
    same = target.strides[1] and target.strides[0] == a_plane * target.strides[1]
    if a_plane and same:
        whole = source._replace(shape=(outer * a_plane, columns), strides=source.strides[1:])
        return _rows(kind, dtype, whole, target._replace(shape=(outer * a_plane, 1), strides=target.strides[1:]))
    return joined([(_rows(kind, dtype, _without(source, 0), _without(target, 0)), outer)])


def _aligned(source: Operand, target: Operand, axes: tuple[int, ...]) -> str:
    """Why the rows of a reduction over another axis than the last are not whole blocks, or "" if they are."""
    if source.strides[-1] != 1 or target.strides[-1] != 1:
        return STRIDED
    if any(source.strides[axis] * source.size % BLOCK for axis in axes):
        return UNALIGNED_ROWS
    return UNALIGNED_START if source.place % BLOCK or target.place % BLOCK else ""


def _columns(kind: str, source: Operand, target: Operand) -> Work:
    """The first of two axes: halves of the rows onto each other."""
    (rows, columns), size = source.shape, source.size
    if reason := _aligned(source, target, (0,)):
        if kind in IN_PAIRS:
            return _scalar(kind, columns, rows, reason)
        # Each step reads an element and the result so far, and writes the result.
        return scalar_loop(rows * columns, 3, reason)
    if "index" in kind:
        return work(VECTOR, _columns_with_index(rows, columns, size), drains=True)
    main = 1 << (rows.bit_length() - 1)
    tail, height = rows - main, max(1, main // 2)
    total = _fold(kind if main > 1 else "max", height, columns, size)
    for start in range(0, tail, height):
        total += (*BARRIER, *_fold(kind, min(height, tail - start), columns, size))
    while height > 1:
        height //= 2
        total += (*BARRIER, *_fold(kind, height, columns, size))
    return work(VECTOR, total)


def _columns_with_index(rows: int, columns: int, size: float) -> Counts:
    """Row by row: compare, take the better, number the row, select its number; three barriers a row."""
    values, places = math.ceil(columns * size / REPEAT), math.ceil(columns * 4 / REPEAT)
    start = (("flag", 2), ("scalar_local", 1), ("vector_drain", 2), ("local_byte", columns * size))
    start += (("vector_issue", 2), ("repeat_unary", places))
    each = (("vector_issue", 4), ("repeat_binary", 2 * values + places), ("repeat_unary", places), ("vector_drain", 3))
    return (*start, *times(each, rows - 1))


def _first_of_three(kind: str, source: Operand, target: Operand) -> Work:
    """Plane onto plane, one after the other; the first is copied by an or."""
    (outer, rows, columns), size = source.shape, source.size
    if (reason := _aligned(source, target, (0, 1))) or target.strides[1] * size % BLOCK:
        return scalar_loop(outer * rows * columns, 3, reason or UNALIGNED_ROWS)
    first = elementwise_counts(rows, columns, size, "repeat_binary")
    return work(VECTOR, (*first, *times((*BARRIER, *_fold(kind, rows, columns, size)), outer - 1)))


def _middle(kind: str, source: Operand, target: Operand) -> Work:
    """Halves of the middle axis onto each other, a tile of the other two axes for each of its steps."""
    (outer, steps, columns), size = source.shape, source.size
    main = 1 << (steps.bit_length() - 1)
    tail = steps - main
    reason = _aligned(source, target, (0, 1)) or (UNALIGNED_ROWS if target.strides[0] * size % BLOCK else "")
    if reason or main.bit_length() - 1 + tail > outer:
        return joined([(_columns(kind, _without(source, 0), _without(target, 0)), outer)])
    tile = _fold(kind, outer, columns, size)
    if main == 1:
        return work(VECTOR, elementwise_counts(outer, columns, size, "repeat_binary"))
    folds = main.bit_length() - 1
    barriers = (("vector_drain", folds + tail + (tail > 0 and folds > 1)),)
    return work(VECTOR, (*times(tile, main - 1 + tail), *barriers))


@functools.cache
def running_work(source: Operand, target: Operand, axis: int) -> Work:
    """A running sum or product: the first row copied, then each onto the one before it, with a barrier after each."""
    size, steps = target.size, target.shape[axis]
    outer = math.prod(target.shape[:axis])
    columns = math.prod(target.shape[axis + 1 :])
    copied = (("vector_issue", 1), ("local_byte", outer * math.ceil(columns * size / BLOCK) * BLOCK))
    each = elementwise_counts(outer, columns, size, "repeat_binary")
    return work(VECTOR, (*copied, *times(each, steps - 1), ("vector_drain", steps)))
