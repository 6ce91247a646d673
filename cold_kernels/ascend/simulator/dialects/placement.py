"""Vector operations that make elements or place them elsewhere: broadcasts, ranges, transposes, gathers."""

import functools
import math

import numpy as np

from ..core.memory import BLOCK, OutOfBounds
from ..core.operations import Op, handles, is_memref
from ..trace.broadcast_costs import broadcast_work, number_work
from ..trace.events import issues
from ..trace.operands import operand as operand_of
from ..trace.vector_costs import REPEAT
from ..trace.work import VECTOR, Work, work
from .elementwise import operand

GATHERED = 64
"""Elements of any type that a gather takes in the time of a repeat (msKPP: 5.2 a cycle of 16 bits, 5.3 of 32)."""


@handles("hivm.hir.vbrc")
def broadcast(translator, op: Op):
    """A number, or an axis of size 1."""
    source, target = op.operands[:2]
    axes = op.ints("broadcast_dims")
    fetch, target_slot, core = operand(translator, source), translator.slot(target), translator.core
    source_slot = translator.slot(source) if is_memref(source) else None
    if source_slot is not None and len(axes) != 1:
        raise op.unsupported(f"a broadcast of the axes {axes}")
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target_slot]
        if source_slot is None:
            job = number_work(operand_of(ref))
        else:
            job = broadcast_work((operand_of(env[source_slot]), operand_of(ref)), axes[0])
        core.trace.append(issue(job))
        if core.values:
            values = fetch(env)
            ref.write(values)

    return step


@handles("hivm.hir.varange")
def arange(translator, op: Op):
    """An offset and a stride for each axis."""
    (target,), offset, strides = op.groups()
    target_slot, core = translator.slot(target), translator.core
    start = translator.slot(offset[0]) if offset else None
    slots = [translator.slot(stride) for stride in strides]
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target_slot]
        core.trace.append(issue(_arange_work(ref.size, ref.itemsize, len(ref.shape) == 1)))
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
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target]
        keeps_rows = len(permutation) > 1 and permutation[-1] == len(permutation) - 1
        blocks = (env[source], ref) if keeps_rows else ()
        aligned = all(one.address % BLOCK == 0 and _rows_of_blocks(one) for one in blocks)
        core.trace.append(issue(_transpose_work(ref.shape, max(1, ref.itemsize), keeps_rows, aligned)))
        if core.values:
            ref.assign(np.transpose(env[source].read(), permutation))

    return step


def _rows_of_blocks(ref) -> bool:
    *outer, inner = ref.strides
    return inner == 1 and all(stride * ref.itemsize % BLOCK == 0 for stride in outer)


@functools.cache
def _transpose_work(shape: tuple[int, ...], size: float, keeps_rows: bool, aligned: bool) -> Work:
    """Rows that stay whole are copied, a burst each and at least a cycle; other permutations go element by element.

    The library (Transpose3D.cpp) copies along the longer of the outer axes and loops over the others, and goes to the
    scalar unit where rows are no whole blocks.
    """
    elements = math.prod(shape)
    if keeps_rows and not aligned:
        return work(VECTOR, (("scalar_local", 2 * elements), ("flag", 4)), drains=True, blocks=True)
    if keeps_rows:
        bursts = elements // shape[-1]
        repeats = bursts * math.ceil(shape[-1] * size / REPEAT)
        return work(VECTOR, (("vector_issue", bursts // max(shape[:-1])), ("repeat_unary", repeats)))
    blocks = math.ceil(elements * size / REPEAT)
    counts = (("vector_issue", math.ceil(blocks / 8)), ("repeat_gather", 2 * blocks), ("vector_drain", 1))
    return work(VECTOR, counts)


@handles("hivm.hir.vgather")
def gather(translator, op: Op):
    """By indices into the last axis, within bounds."""
    source, indices, target = (translator.slot(value) for value in op.operands[:3])
    core = translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target]
        repeats = math.ceil(ref.size * ref.itemsize / REPEAT)
        gathered = math.ceil(ref.size / GATHERED)
        counts = (("vector_issue", 3), ("repeat_unary", 2 * repeats), ("repeat_gather", gathered), ("vector_drain", 2))
        core.trace.append(issue(work(VECTOR, counts)))
        if core.values:
            values, places = env[source].read(), env[indices].read()
            if places.size and not 0 <= places.min() <= places.max() < values.shape[-1]:
                raise OutOfBounds(f"an index from {places.min()} to {places.max()} into {values.shape[-1]} elements")
            ref.write(np.take_along_axis(values, places.astype(np.int64), axis=-1))

    return step
