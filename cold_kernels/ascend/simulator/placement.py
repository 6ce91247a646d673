"""Vector operations that make elements or place them elsewhere: broadcasts, ranges, transposes, gathers."""

import functools
import math

import numpy as np

from .elementwise import operand
from .memory import BLOCK, OutOfBounds
from .operations import Op, handles, is_memref
from .vector_costs import REPEAT, elementwise_counts, elementwise_work, layout
from .work import ISSUE, VECTOR, Work, work


@handles("hivm.hir.vbrc")
def broadcast(translator, op: Op):
    """A number, or axes of size 1."""
    source, target = op.operands[:2]
    axes = op.ints("broadcast_dims")
    fetch, target_slot, core = operand(translator, source), translator.slot(target), translator.core
    vector = is_memref(source)

    def step(env: list) -> None:
        ref = env[target_slot]
        last_axis = vector and len(ref.shape) - 1 in axes
        core.trace.append((ISSUE, op, _broadcast_work(*layout(ref), max(1, ref.itemsize), last_axis)))
        if core.values:
            values = fetch(env)
            ref.write(values)

    return step


@functools.cache
def _broadcast_work(rows: int, columns: int, vectorizable: bool, size: float, last_axis: bool) -> Work:
    if not vectorizable:
        return elementwise_work(rows, columns, False, size, "repeat_unary")
    counts = elementwise_counts(rows, columns, size, "repeat_unary")
    if last_axis:  # each value to a block, then blocks to rows
        counts += (("vector_issue", 1), ("repeat_unary", math.ceil(rows / 8)), ("vector_drain", 2))
    return work(VECTOR, counts)


@handles("hivm.hir.varange")
def arange(translator, op: Op):
    """An offset and a stride for each axis."""
    (target,), offset, strides = op.groups()
    target_slot, core = translator.slot(target), translator.core
    start = translator.slot(offset[0]) if offset else None
    slots = [translator.slot(stride) for stride in strides]

    def step(env: list) -> None:
        ref = env[target_slot]
        core.trace.append((ISSUE, op, _arange_work(ref.size, ref.itemsize, len(ref.shape) == 1)))
        if core.values:
            axes = np.indices(ref.shape, np.int64)
            ref.write((env[start] if offset else 0) + sum(a * env[s] for a, s in zip(axes, slots, strict=True)))

    return step


@functools.cache
def _arange_work(size: int, itemsize: float, flat: bool) -> Work:
    if not flat:
        return work(VECTOR, (("scalar_local", size),), blocks=True)
    lanes = int(BLOCK / itemsize)
    doublings = max(0, math.ceil(math.log2(max(1, size / lanes))))
    counts = (("flag", 4), ("scalar_local", min(lanes, size)), ("vector_issue", doublings))
    return work(VECTOR, counts + (("vector_drain", doublings), ("repeat_unary", size * itemsize / REPEAT)), drains=True)


@handles("hivm.hir.vtranspose")
def transpose(translator, op: Op):
    """Any permutation."""
    source, target = (translator.slot(value) for value in op.operands[:2])
    permutation, core = op.ints("permutation"), translator.core

    def step(env: list) -> None:
        ref = env[target]
        blocks = math.ceil(ref.size * max(1, ref.itemsize) / REPEAT)
        counts = (("vector_issue", math.ceil(blocks / 8)), ("repeat_gather", 2 * blocks), ("vector_drain", 1))
        core.trace.append((ISSUE, op, work(VECTOR, counts)))
        if core.values:
            ref.assign(np.transpose(env[source].read(), permutation))

    return step


@handles("hivm.hir.vgather")
def gather(translator, op: Op):
    """By indices into the last axis, within bounds."""
    source, indices, target = (translator.slot(value) for value in op.operands[:3])
    core = translator.core

    def step(env: list) -> None:
        ref = env[target]
        repeats = math.ceil(ref.size * ref.itemsize / REPEAT)
        counts = (("vector_issue", 3), ("repeat_unary", 2 * repeats), ("repeat_gather", repeats), ("vector_drain", 2))
        core.trace.append((ISSUE, op, work(VECTOR, counts)))
        if core.values:
            values, places = env[source].read(), env[indices].read()
            if places.size and not 0 <= places.min() <= places.max() < values.shape[-1]:
                raise OutOfBounds(f"an index from {places.min()} to {places.max()} into {values.shape[-1]} elements")
            ref.write(np.take_along_axis(values, places.astype(np.int64), axis=-1))

    return step
