"""Element-wise vector operations: values in the types that HIVM names.

Transcendental functions are rounded correctly here; what the device's approximations return is not claimed.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from ...chips import UB_BYTES
from ..core.memory import BIT, BLOCK, Allocation, MemRef, kept
from ..core.operations import Op, handles, is_memref, type_name
from ..trace.cast_costs import cast_work
from ..trace.events import Issue, issues
from ..trace.mask_costs import compare_work, select_work
from ..trace.operands import operand as operand_of
from ..trace.vector_costs import REPEAT, elementwise_work, xor_work
from ..trace.work import Work
from . import casts


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
NUMBER_IN_BLOCK = ("vsub", "vdiv")
FLOAT_ONLY = ("vexp", "vln", "vsqrt", "vrsqrt", "vrec", "vdiv")


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


def _issue(translator, op: Op, values, target, price: Callable[[tuple], Work], compute: Callable[[list], None]):
    """The step of a vector operation: an event of what it costs by its operands' layouts, and its values if they
    count."""
    slots = [translator.slot(value) for value in (*values, target) if is_memref(value)]
    permutation = tuple(op.ints("transpose"))
    core = translator.core
    issue = issues(op)

    @kept
    def event(*refs: MemRef) -> Issue:
        sources = (operand_of(ref, permutation) for ref in refs[:-1])
        found = issue(price((*sources, operand_of(refs[-1]))))
        if any(_overwritten(ref, refs[-1]) for ref in refs[:-1]):
            raise op.unsupported("an operand that overlaps the target in part")
        return found

    def step(env: list) -> None:
        core.trace.append(event(*[env[slot] for slot in slots]))
        if core.values:
            compute(env)

    return step


def _overwritten(source: MemRef, target: MemRef) -> bool:
    """Whether writing the target spoils a source: each element of it may be where its own result goes, or where none
    does."""
    start, other = source.address, target.address
    if start + source.extent <= other or other + target.extent <= start:
        return False
    if start == other and (source.strides == target.strides or _steps(source) == _steps(target)):
        return target.itemsize > source.itemsize
    if not np.shares_memory(source.bytes(), target.bytes(), max_work=100_000):
        return False
    if BIT in (source.dtype, target.dtype) or source.itemsize != target.itemsize or source.shape != target.shape:
        return True
    read, written = _places(source), _places(target)
    return bool(np.any(np.isin(read, written) & (read != written)))


def _places(ref: MemRef) -> np.ndarray:
    """The address of each element."""
    axes = np.indices(ref.shape, np.int64)
    return ref.address + ref.dtype.itemsize * sum(axis * stride for axis, stride in zip(axes, ref.strides, strict=True))


def _steps(ref: MemRef) -> list[float]:
    """Bytes from one element to the next along each axis that has several."""
    return [stride * ref.itemsize for size, stride in zip(ref.shape, ref.strides, strict=True) if size > 1]


def _shaped(op: Op, fetch: Callable) -> Callable:
    """``transpose`` permutes the sources; ``broadcast`` needs nothing, since sizes of 1 broadcast anyway."""
    permutation = op.ints("transpose")
    if not permutation:
        return fetch
    return lambda env: np.transpose(fetch(env), permutation)


@handles(*(f"hivm.hir.{name}" for name in (*UNARY, *BINARY)))
def elementwise(translator, op: Op):
    """In the elements' type, with broadcast or transposed operands; integers wrap, bits of floats may be combined."""
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
        env[target_slot].write(function(*[fetch(env) for fetch in fetched]))

    def compute_there(env: list) -> None:
        function(*[fetch(env) for fetch in fetched], out=env[target_slot].array())

    kinds = {type_name(value) for value in (*sources, target)}
    if isinstance(function, np.ufunc) and len(kinds) == 1 and BIT not in kinds:
        compute = compute_there
    dtype = casts.ELEMENT_TYPES.get(type_name(target), BIT)
    number = name in NUMBER_IN_BLOCK and not all(map(is_memref, sources))
    price = functools.partial(elementwise_work, repeat=repeat_of(cost, dtype), number_in_block=number)
    return _issue(translator, op, sources, target, xor_work if name == "vxor" else price, compute)


def _bitwise(function: Callable) -> Callable:
    """Bit operations on floats act on their bits."""

    def on_bits(*arrays):
        kind = arrays[0].dtype
        if kind.kind in "biu":
            return function(*arrays)
        bits = np.dtype(f"i{kind.itemsize}")
        return function(*(np.asarray(a).view(bits) for a in arrays)).view(kind)

    return on_bits


@handles("hivm.hir.vcmp")
def compare(translator, op: Op):
    """To packed bits, in whole 256-byte repeats."""
    sources, (target,) = op.groups()
    mode = op.word("compare_mode", "eq")
    function, inverts = COMPARE[mode], mode == "ne" and type_name(sources[0]) == "i32"
    fetched = [_shaped(op, operand(translator, value)) for value in sources]
    target_slot = translator.slot(target)

    whole = not op.ints("transpose") and all(is_memref(value) for value in sources)
    slots = [translator.slot(value) for value in (*sources, target)]
    vectors = [translator.slot(value) for value in sources if is_memref(value)]
    permutation, core, issue = tuple(op.ints("transpose")), translator.core, issues(op)

    repeats = kept(lambda *refs: whole_repeats(list(refs)) or ())

    def compute(env: list) -> None:
        refs = repeats(*[env[slot] for slot in slots]) if whole else None
        if refs:
            *operands, bits = refs
            bits.write(function(*[ref.read() for ref in operands]))
        else:
            env[target_slot].write(function(*[fetch(env) for fetch in fetched]))

    @kept
    def event(*refs: MemRef) -> Issue:
        *sources, target = refs
        operands = (*(operand_of(ref, permutation) for ref in sources), operand_of(target))
        return issue(compare_work(operands, inverts, all(map(_has_room, sources))))

    def step(env: list) -> None:
        core.trace.append(event(*[env[slot] for slot in vectors], env[target_slot]))
        if core.values:
            compute(env)

    return step


def _has_room(source: MemRef) -> bool:
    """Whether the unified buffer goes on to the end of the last repeat that a comparison reads of it."""
    rows = sum((n - 1) * s for n, s in zip(source.shape[:-1], source.strides[:-1], strict=True))
    columns = math.ceil(source.shape[-1] * source.itemsize / REPEAT) * REPEAT
    return source.address + rows * source.itemsize + columns <= UB_BYTES


def whole_repeats(refs: list[MemRef]) -> list[MemRef] | None:
    """The operands of a comparison of vectors up to the end of their last repeat, which it reads and writes.

    None where the library counts elements: at other layouts, and at the end of the unified buffer.
    """
    (size, *more), step = refs[-1].shape, max(ref.itemsize for ref in refs)
    lanes = int(REPEAT // step)
    reach = math.ceil(size / lanes) * lanes
    if more or reach == size or any(ref.shape != (size,) or ref.strides != (1,) or ref.address % BLOCK for ref in refs):
        return None
    if any(ref.address + reach * ref.itemsize > len(ref.allocation.data) for ref in refs):
        return None
    for ref in refs:
        ref.check()
    memories = [ref.allocation.data for ref in refs]
    everything = [Allocation("the unified buffer", memory, 0, len(memory), True) for memory in memories]
    return [
        MemRef(memory, int(ref.address / ref.itemsize), (reach,), (1,), ref.dtype)
        for memory, ref in zip(everything, refs, strict=True)
    ]


@handles("hivm.hir.vsel")
def select(translator, op: Op):
    """By packed bits, or by bytes for 64-bit elements."""
    (condition, *choices), (target,), _ = op.groups()
    if type_name(condition) != BIT and type_name(target) != "i64":  # bytes of packed bits, says the library
        raise op.unsupported(f"a condition of {type_name(condition)} for {type_name(target)}")
    fetched = [_shaped(op, operand(translator, value)) for value in (condition, *choices)]
    target_slot, core = translator.slot(target), translator.core
    numbers, wide = sum(not is_memref(value) for value in choices), type_name(target) == "i64"
    vectors = [translator.slot(value) for value in (condition, *choices) if is_memref(value)]
    permutation, issue = tuple(op.ints("transpose")), issues(op)

    @kept
    def event(*refs: MemRef) -> Issue:
        *sources, target = refs
        operands = (*(operand_of(ref, permutation) for ref in sources), operand_of(target))
        return issue(select_work(operands, numbers, wide))

    def step(env: list) -> None:
        ref = env[target_slot]
        core.trace.append(event(*[env[slot] for slot in vectors], ref))
        if core.values:
            where, yes, no = [fetch(env) for fetch in fetched]
            ref.write(np.where(where, yes, no))

    return step


@handles("hivm.hir.vcast")
def cast(translator, op: Op):
    """Rounding as named; integers saturate unless ``truncwithoverflow`` keeps the low bits."""
    (source,), (target,), _ = op.groups()
    convert = casts.conversion(
        op, type_name(source), type_name(target), op.word("round_mode", "rint"), op.word("cast", "cast_signed")
    )
    fetch, target_slot = _shaped(op, operand(translator, source)), translator.slot(target)

    def compute(env: list) -> None:
        env[target_slot].write(convert(fetch(env)))

    low_bits = op.word("round_mode", "rint") == "truncwithoverflow"
    kinds = type_name(source), type_name(target)

    def price(operands: tuple) -> Work:
        job = cast_work(operands, low_bits)
        if job.fallback and ("bf16" in kinds or kinds == ("f32", "f16")):
            what = "leaves undone" if "bf16" in kinds else "traps at"
            raise op.unsupported(f"a cast from {kinds[0]} to {kinds[1]} of {job.fallback}, which the device {what},")
        return job

    return _issue(translator, op, [source], target, price, compute)
