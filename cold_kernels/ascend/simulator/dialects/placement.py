"""Vector operations that make elements or place them elsewhere: broadcasts, ranges, transposes, gathers."""

import numpy as np

from ..core.memory import MemRef, OutOfBounds, kept
from ..core.operations import Op, handles, is_memref
from ..core.spaces import L1, space_of
from ..trace.broadcast_costs import broadcast_work, number_work
from ..trace.events import Issue, issues
from ..trace.movement_costs import arange_work, gather_work, transpose_work
from ..trace.operands import operand as operand_of
from .cube import fill
from .elementwise import operand


@handles("hivm.hir.vbrc")
def broadcast(translator, op: Op):
    """A number, or an axis of size 1."""
    source, target = op.operands[:2]
    if space_of(target) == L1:
        return fill(translator, op)
    axes = op.ints("broadcast_dims")
    fetch, target_slot, core = operand(translator, source), translator.slot(target), translator.core
    source_slot = translator.slot(source) if is_memref(source) else None
    if source_slot is not None and len(axes) != 1:
        raise op.unsupported(f"a broadcast of the axes {axes}")
    issue = issues(op)

    slots = [slot for slot in (source_slot, target_slot) if slot is not None]

    @kept
    def event(*refs: MemRef) -> Issue:
        operands = tuple(map(operand_of, refs))
        return issue(number_work(*operands) if source_slot is None else broadcast_work(operands, axes[0]))

    def step(env: list) -> None:
        core.trace.append(event(*[env[slot] for slot in slots]))
        if core.values:
            env[target_slot].write(fetch(env))

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
        core.trace.append(issue(arange_work(operand_of(ref), tuple(int(env[slot]) for slot in slots))))
        if core.values:
            axes = np.indices(ref.shape, np.int64)
            ref.write((env[start] if offset else 0) + sum(a * env[s] for a, s in zip(axes, slots, strict=True)))

    return step


@handles("hivm.hir.vtranspose")
def transpose(translator, op: Op):
    """Any permutation."""
    source, target = (translator.slot(value) for value in op.operands[:2])
    permutation, core = op.ints("permutation"), translator.core
    issue = issues(op)

    @kept
    def event(*refs: MemRef) -> Issue:
        return issue(transpose_work(tuple(map(operand_of, refs)), permutation))

    def step(env: list) -> None:
        ref = env[target]
        core.trace.append(event(env[source], ref))
        if core.values:
            ref.assign(np.transpose(env[source].read(), permutation))

    return step


@handles("hivm.hir.vgather")
def gather(translator, op: Op):
    """By indices into the last axis, within bounds."""
    source, indices, target = (translator.slot(value) for value in op.operands[:3])
    core = translator.core
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target]
        core.trace.append(issue(gather_work(*(operand_of(env[slot]) for slot in (source, indices, target)))))
        if core.values:
            values, places = env[source].read(), env[indices].read()
            if places.size and not 0 <= places.min() <= places.max() < values.shape[-1]:
                raise OutOfBounds(f"an index from {places.min()} to {places.max()} into {values.shape[-1]} elements")
            ref.write(np.take_along_axis(values, places.astype(np.int64), axis=-1))

    return step
