"""Operations on the order of a row's elements: every n-th one, two rows into one, backwards, sorted.

Meaning and instructions follow AscendNPU-IR v1.2.0, bishengir/lib/Template/lib/Vector (Deinterleave, Interleave,
Gather/Flip1D, Sort); each works on one row, and more rows are that many calls. Assumed, with no public figure: a
repeat of vreducev2, vbitsort or vmrgsort4 takes as long as a gather's, however few elements it moves.
"""

import functools
import math

import numpy as np

from ..core.memory import BIT, BLOCK, MemRef
from ..core.operations import Op, handles
from ..trace.events import issues
from ..trace.vector_costs import MAX_REPEATS, REPEAT, elementwise_counts
from ..trace.work import VECTOR, Work, work

SORTED_TOGETHER = 32
"""Elements that a repeat of vbitsort sorts."""

PROPOSAL = 8
"""Bytes of an element beside its index, as the sorting instructions keep it."""


def _rows_of_blocks(*refs: MemRef) -> bool:
    """Whether every row is dense and starts at a block."""
    return all(
        ref.address % BLOCK == 0
        and ref.strides[-1] == 1
        and all(n == 1 or s * ref.itemsize % BLOCK == 0 for n, s in zip(ref.shape[:-1], ref.strides[:-1], strict=True))
        for ref in refs
    )


def _check_types(op: Op, *refs: MemRef, sizes: tuple[int, ...] = (2, 4)) -> None:
    if any(ref.dtype is BIT or ref.dtype.itemsize not in sizes for ref in refs):
        raise op.unsupported(f"elements of type {refs[0].dtype}")


@functools.cache
def _one_by_one(rows: int, columns: int) -> Work:
    """The library's fall-back: the scalar unit loads and stores every element, between flags for each row."""
    return work(VECTOR, (("scalar_local", 2 * rows * columns), ("flag", 4 * rows)), drains=True, blocks=True)


@handles("hivm.hir.vdeinterleave")
def deinterleave(translator, op: Op):
    """Channel ``k`` of ``n``: the elements ``n * i + k``; all of a source whose stride skips the other channels."""
    source, *targets = map(translator.slot, op.operands)
    channels, mode = op.number("channel_num", 2), op.word("index_mode")
    if len(targets) != 1 or mode not in ("CHANNEL_0", "CHANNEL_1")[: 2 if channels == 2 else 1]:
        raise op.unsupported(f"{mode} of {channels} channels")
    (target,), first, core = targets, int(mode[-1]), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        whole, part = env[source], env[target]
        _check_types(op, whole, part)
        rows, columns = part.rows()
        skipping = channels > 2 and whole.shape == part.shape
        if not skipping and (channels > 2 or whole.shape != (*part.shape[:-1], 2 * columns)):
            raise op.unsupported(f"channel {first} of {channels} of {whole!r} in {part!r}")
        if skipping and (whole.strides[-1] * whole.itemsize % BLOCK or part.strides[-1] != 1):
            raise op.unsupported(f"skipping from {whole!r} to {part!r} by other than whole blocks")
        one_by_one = not skipping and not _rows_of_blocks(whole, part)
        job = _one_by_one(rows, columns) if one_by_one else _picked(rows, columns, skipping, part.itemsize)
        core.trace.append(issue(job))
        if core.values:
            part.assign(whole.read() if skipping else whole.read()[..., first::2])

    return step


@functools.cache
def _picked(rows: int, columns: int, skipping: bool, size: int) -> Work:
    """One vreducev2: an element a repeat where the stride skips, else whole repeats of a row."""
    if skipping:
        return work(VECTOR, (("vector_issue", 1), ("repeat_gather", rows * columns)))
    repeats = math.ceil(2 * columns * size / REPEAT)
    return work(VECTOR, (("vector_issue", rows), ("repeat_gather", rows * repeats)))


@handles("hivm.hir.vinterleave")
def interleave(translator, op: Op):
    """Elements of the first source at even places, of the second at odd ones."""
    sources, (target,), _ = op.groups()
    if len(sources) != 2 or op.number("interleave_channel_nums", 2) != 2:
        raise op.unsupported(f"{len(sources)} channels")
    slots, core = [translator.slot(value) for value in (*sources, target)], translator.core
    issue = issues(op)

    def step(env: list) -> None:
        even, odd, whole = (env[slot] for slot in slots)
        _check_types(op, even, odd, whole)
        rows, columns = even.rows()
        if even.shape != odd.shape or whole.shape != (*even.shape[:-1], 2 * columns):
            raise op.unsupported(f"{even!r} and {odd!r} into {whole!r}")
        aligned = _rows_of_blocks(even, odd, whole)
        job = _woven(rows, columns, whole.itemsize) if aligned else _one_by_one(rows, 2 * columns)
        core.trace.append(issue(job))
        if core.values:
            whole.assign(np.stack([even.read(), odd.read()], axis=-1).reshape(whole.shape))

    return step


@functools.cache
def _woven(rows: int, columns: int, size: int) -> Work:
    """Each element twice (to a block by vbrcb, two of it by vreducev2), then a select by alternating bits."""
    twice = (
        ("vector_issue", math.ceil(columns / 8 / MAX_REPEATS) + 1),
        ("repeat_unary", math.ceil(columns / 8)),
        ("repeat_gather", columns),
        ("vector_drain", 2),
    )
    bits = (("vector_issue", 1), ("repeat_unary", math.ceil(columns / 4 / REPEAT)), ("vector_drain", 1))
    choose = (("flag", 2), ("scalar_local", 1), ("vector_drain", 1))
    choose += elementwise_counts(1, 2 * columns, size, "repeat_binary")
    return work(VECTOR, (*twice, *twice, *bits, *choose) * rows, drains=True)


@handles("hivm.hir.vflip")
def flip(translator, op: Op):
    """The last axis backwards."""
    source, target = map(translator.slot, op.operands)
    axis, core = op.number("flip_axis"), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref, reversed_ = env[source], env[target]
        _check_types(op, ref, reversed_, sizes=(1, 2, 4, 8))
        if axis != len(ref.shape) - 1 or ref.strides[-1] != reversed_.strides[-1]:
            # The library flips the last axis, and places results by the stride of the source.
            raise op.unsupported(f"flipping axis {axis} of {ref!r} into {reversed_!r}")
        core.trace.append(issue(_one_by_one(*ref.rows())))
        if core.values:
            reversed_.assign(np.flip(ref.read(), axis).copy())

    return step


@handles("hivm.hir.vsort")
def sort(translator, op: Op):
    """The last axis in order. NaN counts as the greatest, as the library's own filling relies on."""
    (source,), (target, *indices), _ = op.groups()
    axis, descending = op.number("sort_axis", -1), bool(op.number("descending"))
    if indices:
        raise op.unsupported("the order of equal elements, which the indices show,")
    source_slot, target_slot, core = translator.slot(source), translator.slot(target), translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref, ordered = env[source_slot], env[target_slot]
        _check_types(op, ref, ordered)
        rows, columns = ref.rows()
        if axis not in (-1, len(ref.shape) - 1) or columns % SORTED_TOGETHER or not _rows_of_blocks(ref, ordered):
            # The library fills up the source itself, past its end.
            raise op.unsupported(f"sorting {ref!r} by axis {axis}, other than dense rows of multiples of 32 elements,")
        core.trace.append(issue(_sorted_work(rows, columns, ref.itemsize, descending)))
        if core.values:
            values = np.sort(ref.read(), axis=-1)
            ordered.assign(values[..., ::-1] if descending else values)

    return step


@functools.cache
def _sorted_work(rows: int, columns: int, size: int, descending: bool) -> Work:
    """Number the elements, sort them by 32, merge four lists into one until there is one, take the values out."""
    pairs = math.ceil(columns * PROPOSAL / REPEAT)
    lanes = BLOCK // 4
    doublings = max(0, math.ceil(math.log2(columns / lanes)))
    counts = (("flag", 8), ("scalar_local", lanes), ("vector_issue", doublings), ("vector_drain", doublings))
    counts += (("repeat_unary", math.ceil(columns * 4 / REPEAT)),)
    repeats = columns // SORTED_TOGETHER
    counts += (("vector_issue", math.ceil(repeats / MAX_REPEATS)), ("repeat_gather", repeats), ("vector_drain", 2))
    lists = repeats
    while lists > 1:
        counts += (("vector_issue", 1 + (lists % 4 > 0)), ("repeat_gather", pairs), ("vector_drain", 2))
        lists = math.ceil(lists / 4)
    counts += (("vector_issue", 1), ("repeat_gather", pairs))
    if not descending:  # the instructions sort downwards only: the sign bit is turned before and after
        counts += (("vector_drain", 2), *(2 * elementwise_counts(1, columns, size, "repeat_binary")))
    return work(VECTOR, counts * rows, drains=True)
