"""Reductions and running sums: sums fold halves onto each other as the library does, in the elements' type.

The order below HIVM, inside one 256-byte repeat, is the hardware's; it is taken as a binary tree. Work follows
AscendNPU-IR v1.2.0, bishengir/lib/Template/include/Vector/Reduction/Reduce{AR,RA}Impl.h.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from ..core.memory import BLOCK
from ..core.operations import Op, handles, type_name
from ..trace.events import issues
from ..trace.vector_costs import MAX_REPEATS, REPEAT, elementwise_counts
from ..trace.work import VECTOR, Work, work

FOLDS = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "xori": np.bitwise_xor,
    "ori": np.bitwise_or,
    "andi": np.bitwise_and,
}


def fold(function: np.ufunc, values: np.ndarray, axis: int, lanes: int = 1) -> np.ndarray:
    """Reduce ``axis`` to size 1: halves of the largest power of two onto each other, then what is beyond it.

    What is beyond comes onto the first folding, or where that power is not above ``lanes`` onto the values.
    """
    values = np.moveaxis(values, axis, -1)
    size = values.shape[-1]
    half = 1 << (size.bit_length() - 1)
    beyond = values[..., half:]
    if half > lanes:
        half //= 2
        values = function(values[..., :half], values[..., half : 2 * half])
    if beyond.shape[-1]:
        values = values[..., :half].copy()
        for start in range(0, beyond.shape[-1], half):
            some = beyond[..., start : start + half]
            values[..., : some.shape[-1]] = function(values[..., : some.shape[-1]], some)
    while half > 1:
        half //= 2
        values = function(values[..., :half], values[..., half : 2 * half])
    return np.moveaxis(values, -1, axis)


def with_index(kind: str, values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Extreme value and its index along ``axis``: the leftmost or the rightmost among equals, NaN first."""
    pick = np.argmax if kind.startswith("max") else np.argmin
    if kind.endswith("right"):
        last = values.shape[axis] - 1
        index = last - pick(np.flip(values, axis), axis=axis, keepdims=True)
    else:
        index = pick(values, axis=axis, keepdims=True)
    return np.take_along_axis(values, index, axis), index.astype(np.int32)


@handles("hivm.hir.vreduce")
def reduce(translator, op: Op):
    """One axis: sum, prod, max, min, xor, or, and; max and min with the leftmost or rightmost index."""
    (source,), (target, *index), _, specified = op.groups()
    kind, axes = op.word("arith"), op.ints("reduce_dims")
    if len(axes) != 1 or specified or (kind not in FOLDS and not index):
        raise op.unsupported(f"the reduction {kind} over the axes {axes} into {1 + len(index)} results")
    (axis,), dtype = axes, type_name(source)
    source_slot, target_slot = translator.slot(source), translator.slot(target)
    index_slot = translator.slot(index[0]) if index else None
    core = translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[source_slot]
        size = ref.shape[axis]
        last = axis == len(ref.shape) - 1
        others = ref.size // max(1, size)
        dense = len(ref.shape) == 1 or ref.strides[-2] == size
        job = _reduce_work(kind, dtype, others, size, last, dense, max(1, int(ref.itemsize)))
        core.trace.append(issue(job))
        if not core.values:
            return
        if not size:
            raise op.unsupported("a reduction of no elements")
        if index_slot is None:
            lanes = REPEAT // max(1, int(ref.itemsize)) if last else 1
            env[target_slot].assign(fold(FOLDS[kind], ref.read(), axis, lanes))
        else:
            best, place = with_index(kind, ref.read(), axis)
            env[target_slot].assign(best)
            env[index_slot].assign(place)

    return step


@functools.cache
def _reduce_work(kind: str, dtype: str, others: int, size: int, last: bool, dense: bool, itemsize: int) -> Work:
    lanes = REPEAT // itemsize
    if not last:
        return work(VECTOR, _folds(size, lambda rows: elementwise_counts(rows, others, itemsize, "repeat_binary")))
    crosses_lanes = dtype in ("f16", "f32") and kind not in ("prod", "xori", "ori", "andi")
    if not crosses_lanes:
        lanes = BLOCK // itemsize
        rounds = max(1, int(math.log2(max(2, min(lanes, size)))))
        moves = (("scalar_local", 2 * others * lanes), ("flag", 4 * (rounds + 1)), ("vector_issue", rounds))
        counts = _folds(size // lanes, lambda n: elementwise_counts(others, n * lanes, itemsize, "repeat_binary"))
        return work(VECTOR, moves + counts, drains=True, blocks=True)
    if kind == "sum" and dense and size <= BLOCK // itemsize and not size & (size - 1):
        return work(VECTOR, _block_sums(others, size, lanes, itemsize), drains=True)
    repeat = "repeat_sum" if kind == "sum" and dtype == "f32" else "repeat_extreme"
    with_place = 2 if "index" in kind else 1
    counts = _folds(math.ceil(size / lanes), lambda n: elementwise_counts(others, n * lanes, itemsize, "repeat_binary"))
    issues = math.ceil(others / MAX_REPEATS) * with_place
    final = (("vector_issue", issues), (repeat, others * with_place), ("vector_drain", issues))
    scalar_result = others == 1 and kind != "sum"
    back = (("flag", 4), ("scalar_local", 2)) if scalar_result else (("flag", 2),)
    return work(VECTOR, counts + final + back, drains=True, blocks=scalar_result)


def _block_sums(others: int, size: int, lanes: int, itemsize: int) -> tuple:
    """Sums of at most a 32-byte block each, side by side: one instruction for whole blocks, else pair by pair."""
    if size == BLOCK // itemsize:
        repeat = "repeat_unary" if itemsize == 4 else "repeat_extreme"
        return (("vector_issue", 1), (repeat, math.ceil(others * size / lanes)), ("flag", 2))
    total: tuple = (("flag", 2),)
    while size > 1:
        total += (("vector_issue", 1), ("repeat_unary", math.ceil(others * size / lanes)), ("vector_drain", 1))
        size //= 2
    return total


def _folds(size: int, counts: Callable[[int], tuple]) -> tuple:
    """Halving ``size`` down to 1: the counts of every fold, with a barrier before each."""
    total: tuple = ()
    while size > 1:
        half = 1 << ((size - 1).bit_length() - 1)
        total += (*counts(size - half), ("vector_drain", 1))
        size = half
    return total


@handles("hivm.hir.vcumsum", "hivm.hir.vcumprod")
def accumulate(translator, op: Op):
    """One axis, forwards or backwards, in the elements' type."""
    source, target = (translator.slot(value) for value in op.operands[:2])
    (axis,), reverse, core = op.ints("cum_dims"), bool(op.number("reverse")), translator.core
    function = np.add if op.name.endswith("vcumsum") else np.multiply
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target]
        steps = ref.shape[axis]
        repeats = math.ceil(ref.size * ref.itemsize / REPEAT)
        counts = (("vector_issue", steps), ("repeat_binary", repeats), ("vector_drain", steps))
        core.trace.append(issue(work(VECTOR, counts)))
        if core.values:
            values = env[source].read()
            values = np.flip(values, axis) if reverse else values
            values = function.accumulate(values, axis=axis, dtype=values.dtype)
            ref.write(np.flip(values, axis) if reverse else values)

    return step
