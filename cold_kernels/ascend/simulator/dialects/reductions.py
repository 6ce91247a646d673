"""Reductions and running sums: sums fold halves onto each other as the library does, in the elements' type.

The order inside one 256-byte repeat is the hardware's: neighbours in pairs, then neighbouring pairs, and so on (CANN's
documentation of ReduceSum and WholeReduceSum).
"""

import numpy as np

from ..core.memory import MemRef, kept
from ..core.operations import Op, handles, type_name
from ..trace.events import Issue, issues
from ..trace.operands import operand
from ..trace.reduction_costs import reduce_work, running_work
from ..trace.vector_costs import REPEAT

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
    """Reduce ``axis`` to size 1: halves of the largest power of two onto each other, and the last ``lanes`` in pairs.

    What is beyond that power comes onto the first folding, or where it is not above ``lanes`` onto the values. Integers
    come out the same in any order.
    """
    if values.dtype.kind in "iu":
        return function.reduce(values, axis=axis, keepdims=True, dtype=values.dtype)
    inner = axis == values.ndim - 1
    values = values if inner else np.moveaxis(values, axis, -1)
    size = values.shape[-1]
    half = 1 << (size.bit_length() - 1)
    if size > lanes:
        beyond = values[..., half:]
        if half > lanes:
            half //= 2
            values = function(values[..., :half], values[..., half : 2 * half])
        if beyond.shape[-1]:
            values = values[..., :half].copy()
            for start in range(0, beyond.shape[-1], half):
                some = beyond[..., start : start + half]
                values[..., : some.shape[-1]] = function(values[..., : some.shape[-1]], some)
        while half > lanes:
            half //= 2
            values = function(values[..., :half], values[..., half : 2 * half])
    while values.shape[-1] > 1:
        pairs = function(values[..., :-1:2], values[..., 1::2])
        values = np.concatenate([pairs, values[..., -1:]], axis=-1) if values.shape[-1] % 2 else pairs
    return values if inner else np.moveaxis(values, -1, axis)


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

    @kept
    def event(source: MemRef, target: MemRef) -> Issue:
        return issue(reduce_work(kind, dtype, operand(source), operand(target), axis))

    def step(env: list) -> None:
        ref = env[source_slot]
        size = ref.shape[axis]
        core.trace.append(event(ref, env[target_slot]))
        if not core.values:
            return
        if not size:
            raise op.unsupported("a reduction of no elements")
        if index_slot is None:
            last = axis == len(ref.shape) - 1
            lanes = REPEAT // max(1, int(ref.itemsize)) if last else 1
            env[target_slot].assign(fold(FOLDS[kind], ref.read(), axis, lanes))
        else:
            best, place = with_index(kind, ref.read(), axis)
            env[target_slot].assign(best)
            env[index_slot].assign(place)

    return step


@handles("hivm.hir.vcumsum", "hivm.hir.vcumprod")
def accumulate(translator, op: Op):
    """One axis, forwards or backwards, in the elements' type."""
    source, target = (translator.slot(value) for value in op.operands[:2])
    (axis,), reverse, core = op.ints("cum_dims"), bool(op.number("reverse")), translator.core
    function = np.add if op.name.endswith("vcumsum") else np.multiply
    issue = issues(op)

    def step(env: list) -> None:
        ref = env[target]
        core.trace.append(issue(running_work(operand(env[source]), operand(ref), axis)))
        if core.values:
            values = env[source].read()
            values = np.flip(values, axis) if reverse else values
            values = function.accumulate(values, axis=axis, dtype=values.dtype)
            ref.write(np.flip(values, axis) if reverse else values)

    return step
