"""Element-wise vector operations: values in the types that HIVM names, work as the device library does it.

The library (AscendNPU-IR v1.2.0, bishengir/lib/Template/lib/Vector) decides from strides and alignment whether
an operation is one instruction, one a row, or a loop on the scalar unit. Transcendental functions are rounded
correctly here; what the device's approximations return is not claimed.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from . import casts
from .memory import BIT, BLOCK, Allocation, MemRef, OutOfBounds
from .operations import Op, handles, is_memref, type_name
from .work import ISSUE, VECTOR, Work, work

REPEAT = 256
"""Bytes that an instruction processes per repeat."""

MAX_REPEATS = 255


def _accurate(function: Callable) -> Callable:
    """Compute in float64 and round once."""
    return lambda a: function(a.astype(np.float64)).astype(a.dtype)


UNARY = {
    "vexp": (_accurate(np.exp), "repeat_2"),
    "vln": (_accurate(np.log), "repeat_2"),
    "vsqrt": (_accurate(np.sqrt), "repeat_2"),
    "vrsqrt": (_accurate(lambda a: 1 / np.sqrt(a)), "repeat_unary"),
    "vrec": (_accurate(lambda a: 1 / a), "repeat_unary"),
    "vabs": (np.abs, "repeat_unary"),
    "vrelu": (lambda a: np.maximum(a, a.dtype.type(0)), "repeat_unary"),
    "vnot": (np.invert, "repeat_unary"),
}
BINARY = {
    "vadd": (np.add, "repeat_binary"),
    "vsub": (np.subtract, "repeat_binary"),
    "vmul": (np.multiply, "repeat_binary"),
    "vdiv": (np.divide, "repeat_4"),
    "vmax": (np.maximum, "repeat_binary"),
    "vmin": (np.minimum, "repeat_binary"),
    "vand": (np.bitwise_and, "repeat_binary"),
    "vor": (np.bitwise_or, "repeat_binary"),
    "vxor": (np.bitwise_xor, "repeat_binary"),
    "vshl": (np.left_shift, "repeat_unary"),
    "vshr": (np.right_shift, "repeat_unary"),
}
COMPARE = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "gt": np.greater, "ge": np.greater_equal, "le": np.less_equal,
}  # fmt: skip
BITWISE = ("vnot", "vand", "vor", "vxor")
FLOAT_ONLY = ("vexp", "vln", "vsqrt", "vrsqrt", "vrec", "vdiv")


@functools.cache
def elementwise_counts(rows: int, columns: int, size: float, repeat: str) -> tuple[tuple[str, float], ...]:
    """Instructions and repeats over a tile whose rows are apart (`E2D` of the library); one row is one."""
    lanes = int(REPEAT / size)
    full, tail = divmod(columns, lanes)
    instructions = 0
    if rows == 1:
        instructions = 1
    else:
        if full:
            chunks = full * math.ceil(rows / MAX_REPEATS) if rows >= full else rows * math.ceil(full / MAX_REPEATS)
            instructions += chunks
        if tail:
            instructions += math.ceil(rows / MAX_REPEATS)
    return (("vector_issue", instructions), (repeat, rows * math.ceil(columns / lanes)))


def layout(*refs: MemRef) -> tuple:
    """What of the operands' layout decides the cost: rows, columns, and whether the vector unit can do it.

    The last operand is the target. Operands that are contiguous and of one shape count as a single row.
    """
    shape = refs[-1].shape
    rows, columns = refs[-1].rows()
    if all(ref.shape == shape and _flat(ref) for ref in refs):
        rows, columns = 1, rows * columns
    return rows, columns, _vectorizable(refs)


def _flat(ref: MemRef) -> bool:
    dense = 1
    for size, stride in zip(reversed(ref.shape), reversed(ref.strides), strict=True):
        if size != 1 and stride != dense:
            return False
        dense *= size
    return True


def _vectorizable(refs: tuple[MemRef, ...]) -> bool:
    for ref in refs:
        if ref.shape and ref.shape[-1] > 1 and ref.strides[-1] != 1:
            return False
        if ref.dtype is not BIT and any(
            size > 1 and stride * ref.itemsize % BLOCK
            for size, stride in zip(ref.shape[:-1], ref.strides[:-1], strict=True)
        ):
            return False
    phases = {ref.address % BLOCK for ref in refs}
    return len(phases) == 1


@functools.cache
def elementwise_work(rows: int, columns: int, vectorizable: bool, size: float, repeat: str, extra: tuple = ()) -> Work:
    """The work of an element-wise operation; what the vector unit cannot do runs on the scalar unit."""
    if not vectorizable:
        return work(VECTOR, (("scalar_local", 3 * rows * columns), ("flag", 4)), drains=True, blocks=True)
    return work(VECTOR, extra + elementwise_counts(rows, columns, size, repeat))


def operand(translator, value) -> Callable[[list], np.ndarray | np.generic]:
    """How to fetch an operand's elements: a memref's array, or a number in its type."""
    slot = translator.slot(value)
    if is_memref(value):
        return lambda env: env[slot].read()
    name = type_name(value)
    kind = np.bool_ if name == BIT else casts.ELEMENT_TYPES[name].type
    return lambda env: kind(env[slot])


def repeat_of(cost: str, dtype) -> str:
    """Transcendental functions take four cycles a repeat of fp16, two of fp32."""
    return "repeat_4" if cost == "repeat_2" and dtype is not BIT and dtype.itemsize == 2 else cost


def _issue(translator, op: Op, values, target, cost: str, compute: Callable[[list], None]):
    """The step of a vector operation: an event, and its values if they count."""
    slots = [translator.slot(value) for value in (*values, target) if is_memref(value)]
    splats = (("vector_issue", 1), ("vector_drain", 1)) if any(not is_memref(v) for v in values) else ()
    splats = splats if op.name.endswith(("vsub", "vdiv")) else ()
    core = translator.core

    def step(env: list) -> None:
        refs = [env[slot] for slot in slots]
        size = max(ref.itemsize for ref in refs) if refs else 4
        core.trace.append((ISSUE, op, elementwise_work(*layout(*refs), max(size, 1), cost, splats)))
        if core.values:
            if any(_overwritten(ref, refs[-1]) for ref in refs[:-1]):
                raise op.unsupported("an operand that overlaps the target in part")
            compute(env)

    return step


def _overwritten(source: MemRef, target: MemRef) -> bool:
    """Whether writing the target spoils a source: all or nothing of it may be in the same place."""
    start, other = source.address, target.address
    if start + source.extent <= other or other + target.extent <= start:
        return False
    if start == other and source.strides == target.strides:
        return target.itemsize > source.itemsize
    return bool(np.shares_memory(source.bytes(), target.bytes(), max_work=100_000))


def _shaped(op: Op, fetch: Callable) -> Callable:
    """``transpose`` permutes the sources; ``broadcast`` needs nothing, since sizes of 1 broadcast anyway."""
    permutation = op.ints("transpose")
    if not permutation:
        return fetch
    return lambda env: np.transpose(fetch(env), permutation)


@handles(*(f"hivm.hir.{name}" for name in (*UNARY, *BINARY)))
def elementwise(translator, op: Op):
    sources, (target, *_), _ = op.groups()
    name = op.name.removeprefix("hivm.hir.")
    function, cost = UNARY.get(name) or BINARY[name]
    if name in FLOAT_ONLY and type_name(target) not in casts.FLOATS:
        raise op.unsupported(f"{name} of {type_name(target)}")
    fetched = [_shaped(op, operand(translator, value)) for value in sources]
    target_slot = translator.slot(target)
    if name in BITWISE:
        function = _bitwise(function)

    def compute(env: list) -> None:
        env[target_slot].write(function(*(fetch(env) for fetch in fetched)))

    dtype = casts.ELEMENT_TYPES.get(type_name(target), BIT)
    return _issue(translator, op, sources, target, repeat_of(cost, dtype), compute)


def _bitwise(function: Callable) -> Callable:
    """Bit operations on floats act on their bits."""

    def on_bits(*arrays):
        kind = arrays[0].dtype
        if kind == np.bool_ or np.issubdtype(kind, np.integer):
            return function(*arrays)
        bits = np.dtype(f"i{kind.itemsize}")
        return function(*(np.asarray(a).view(bits) for a in arrays)).view(kind)

    return on_bits


@handles("hivm.hir.vcmp")
def compare(translator, op: Op):
    sources, (target,) = op.groups()
    function = COMPARE[op.word("compare_mode", "eq")]
    fetched = [_shaped(op, operand(translator, value)) for value in sources]
    target_slot = translator.slot(target)

    core = translator.core
    whole = not op.ints("transpose") and all(is_memref(value) for value in sources)
    slots = [translator.slot(value) for value in (*sources, target)]

    def compute(env: list) -> None:
        refs = _whole_repeats(core.buffer, [env[slot] for slot in slots]) if whole else None
        if refs:
            *operands, bits = refs
            bits.write(function(*(ref.read() for ref in operands)))
        else:
            env[target_slot].write(function(*(fetch(env) for fetch in fetched)))

    return _issue(translator, op, sources, target, "repeat_binary", compute)


def _whole_repeats(memory: np.ndarray, refs: list[MemRef]) -> list[MemRef] | None:
    """The operands of a comparison of vectors up to the end of their last repeat, which it reads and writes.

    None where the library counts elements: at other layouts, and at the end of the unified buffer.
    """
    (size, *more), step = refs[-1].shape, max(ref.itemsize for ref in refs)
    lanes = int(REPEAT // step)
    reach = math.ceil(size / lanes) * lanes
    if more or reach == size or any(ref.shape != (size,) or ref.strides != (1,) or ref.address % BLOCK for ref in refs):
        return None
    if any(ref.address + reach * ref.itemsize > len(memory) for ref in refs):
        return None
    for ref in refs:
        ref.check()
    everything = Allocation("the unified buffer", memory, 0, len(memory), True)
    return [MemRef(everything, int(ref.address / ref.itemsize), (reach,), (1,), ref.dtype) for ref in refs]


@handles("hivm.hir.vsel")
def select(translator, op: Op):
    (condition, *choices), (target,), _ = op.groups()
    if type_name(condition) != BIT and type_name(target) != "i64":  # bytes of packed bits, says the library
        raise op.unsupported(f"a condition of {type_name(condition)} for {type_name(target)}")
    fetched = [_shaped(op, operand(translator, value)) for value in (condition, *choices)]
    target_slot, core = translator.slot(target), translator.core
    splats = sum(not is_memref(value) for value in choices)

    def step(env: list) -> None:
        ref = env[target_slot]
        core.trace.append((ISSUE, op, _select_work(*layout(ref), ref.itemsize, splats)))
        if core.values:
            where, yes, no = (fetch(env) for fetch in fetched)
            ref.write(np.where(where, yes, no))

    return step


@functools.cache
def _select_work(rows: int, columns: int, vectorizable: bool, size: float, splats: int) -> Work:
    if not vectorizable:
        return elementwise_work(rows, columns, False, size, "repeat_binary")
    counts = elementwise_counts(rows, columns, max(size, 2), "repeat_binary")
    # The mask's address goes through the scalar unit, so that a select waits for the pipe to run dry.
    extra = (("vector_issue", splats), ("flag", 2), ("scalar_local", 1), ("vector_drain", 1 + splats))
    return work(VECTOR, extra + counts, drains=True)


@handles("hivm.hir.vcast")
def cast(translator, op: Op):
    (source,), (target,), _ = op.groups()
    convert = casts.conversion(
        op, type_name(source), type_name(target), op.word("round_mode", "rint"), op.word("cast", "cast_signed")
    )
    fetch, target_slot = _shaped(op, operand(translator, source)), translator.slot(target)

    def compute(env: list) -> None:
        env[target_slot].write(convert(fetch(env)))

    return _issue(translator, op, [source], target, "repeat_unary", compute)


@handles("hivm.hir.vbrc")
def broadcast(translator, op: Op):
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


@handles("hivm.hir.vcumsum", "hivm.hir.vcumprod")
def accumulate(translator, op: Op):
    source, target = (translator.slot(value) for value in op.operands[:2])
    (axis,), reverse, core = op.ints("cum_dims"), bool(op.number("reverse")), translator.core
    function = np.add if op.name.endswith("vcumsum") else np.multiply

    def step(env: list) -> None:
        ref = env[target]
        steps = ref.shape[axis]
        repeats = math.ceil(ref.size * ref.itemsize / REPEAT)
        counts = (("vector_issue", steps), ("repeat_binary", repeats), ("vector_drain", steps))
        core.trace.append((ISSUE, op, work(VECTOR, counts)))
        if core.values:
            values = env[source].read()
            values = np.flip(values, axis) if reverse else values
            values = function.accumulate(values, axis=axis, dtype=values.dtype)
            ref.write(np.flip(values, axis) if reverse else values)

    return step
