"""Memrefs: planned buffers, views of them, and the scalar unit's own loads and stores."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

from xdsl.dialects.builtin import MemRefType, NoneAttr, StridedLayoutAttr

from ...errors import UnsupportedProgram
from ..core.memory import BIT, MOST_KEPT, Allocation, MemRef, OutOfBounds
from ..core.operations import DYNAMIC, Op, element_type, follows_unused, handles, is_local, located
from ..core.spaces import GM, NAMES, UB, space_of
from ..trace.events import ScalarAccess
from .arithmetic import silent

"""Part of the name of global memory's address space."""


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _strides(kind: MemRefType, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(kind.layout, StridedLayoutAttr):
        return tuple(stride.data for stride in kind.layout.strides)
    if not isinstance(kind.layout, NoneAttr):
        raise UnsupportedProgram(f"a buffer with the layout {kind.layout} is not simulated")
    return dense(shape)


def _filled(static: Sequence[int], dynamic: Sequence[int]) -> tuple[int, ...]:
    """A type's or an operation's sizes with those that operands give put in."""
    given = iter(dynamic)
    return tuple(next(given) if value == DYNAMIC else value for value in static)


@handles("hivm.hir.pointer_cast")
@silent
def pointer_cast(translator, op: Op):
    """A buffer at one planned address, or the tensor or other known memory that an integer points into."""
    addresses, _ = op.groups()
    kind, dtype = op.results[0].type, element_type(op.results[0])
    where = space_of(op.results[0])
    core, memory = translator.core, translator.core.memories.get(where)
    if len(addresses) != 1 or (memory is None and where != GM):
        raise op.unsupported(f"a buffer with {len(addresses)} addresses in {where}")
    static = kind.get_shape()

    def pointed(address: int, *dynamic: int) -> MemRef:
        shape = _filled(static, dynamic)
        with located(op):
            return MemRef(core.memory.at(address), 0, shape, _strides(kind, shape), dtype)

    if where == GM:
        return translator.pure(op, pointed)

    def buffer(address: int, *dynamic: int) -> MemRef:
        shape = _filled(static, dynamic)
        strides = _strides(kind, shape)
        reach = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        size = math.ceil(reach * (0.125 if dtype is BIT else dtype.itemsize))
        name = f"the buffer at {address}" if where == UB else f"the buffer at {address} of {NAMES[where]}"
        if address < 0 or address + size > len(memory):
            raise op.unsupported(f"{name} of {size} bytes, past the end of {NAMES[where]},")
        allocation = Allocation(name, memory, address, address + size, True)
        translator.buffers.append(allocation)
        return MemRef(allocation, 0, shape, strides, dtype, fixed=not dynamic)

    return translator.pure(op, buffer)


@handles("memref.view")
@silent
def view(translator, op: Op):
    """Bytes of global memory as elements."""
    kind, dtype = op.results[0].type, element_type(op.results[0])

    def at(source: MemRef, start: int, *dynamic: int) -> MemRef:
        shape = _filled(kind.get_shape(), dynamic)
        offset, rest = divmod(source.offset + start, dtype.itemsize)
        if source.itemsize != 1 or rest:
            raise op.unsupported(f"{dtype} at byte {start} of {source!r}")
        return MemRef(source.allocation, offset, shape, dense(shape), dtype)

    return translator.pure(op, at)


def _derived(translator, op: Op, view: Callable[..., MemRef]):
    """The step for a view; one of a buffer that is the same in every run is made once for each of its operands."""
    made: dict[tuple, MemRef] = {}

    def once(*operands) -> MemRef:
        source = operands[0]
        if not (source.fixed and source.allocation.local):
            return view(*operands)
        if operands not in made:
            if len(made) >= MOST_KEPT:
                made.clear()
            made[operands] = view(*operands)
            made[operands].fixed = True
        return made[operands]

    return translator.pure(op, once)


def _geometry(op: Op) -> Callable[..., tuple]:
    """The function from the dynamic operands of a view to its offsets, sizes and strides."""
    given = [f"d{place}" for place in range(sum(op.ints("operandSegmentSizes")[1:]))]
    rest = iter(given)
    fields = [op.ints(name) for name in ("static_offsets", "static_sizes", "static_strides")]
    parts = ["".join(f"{next(rest) if value == DYNAMIC else value}, " for value in field) for field in fields]
    return eval(f"lambda {', '.join(given)}: ({', '.join(f'({part})' for part in parts)})")


@handles("memref.reinterpret_cast")
@silent
def reinterpret_cast(translator, op: Op):
    """Any offset, sizes and strides."""
    split = _geometry(op)

    def view(source: MemRef, *dynamic: int) -> MemRef:
        (offset,), sizes, strides = split(*dynamic)
        return MemRef(source.allocation, offset, sizes, strides, source.dtype)

    return _derived(translator, op, view)


@handles("memref.extract_strided_metadata")
@silent
def metadata(translator, op: Op):
    """The base without offset and shape, then offset, sizes and strides."""

    def parts(source: MemRef) -> tuple:
        base = MemRef(source.allocation, 0, (), (), source.dtype, source.fixed)
        return (base, source.offset, *source.shape, *source.strides)

    return translator.pure(op, parts)


@handles("memref.extract_aligned_pointer_as_index")
@silent
def aligned_pointer(translator, op: Op):
    """The address of the memory that a memref was made from, without the memref's offset."""
    core, local = translator.core, is_local(op.operands[0])
    return translator.pure(
        op, lambda source: source.allocation.start if local else core.memory.address(source.allocation)
    )


@handles("memref.subview")
@silent
def subview(translator, op: Op):
    """Known or computed; dropped axes have size 1."""
    split = _geometry(op)
    kept = _kept_axes(op)

    def view(source: MemRef, *dynamic: int) -> MemRef:
        offsets, sizes, steps = split(*dynamic)
        offset = source.offset + sum(o * s for o, s in zip(offsets, source.strides, strict=True))
        strides = tuple(step * stride for step, stride in zip(steps, source.strides, strict=True))
        if len(kept) != len(sizes):
            sizes, strides = tuple(sizes[axis] for axis in kept), tuple(strides[axis] for axis in kept)
        return MemRef(source.allocation, offset, sizes, strides, source.dtype)

    return _derived(translator, op, view)


def _kept_axes(op: Op) -> list[int]:
    """The axes that are left in the result, which may lack some of size 1: those whose strides it has; the first ones
    are dropped where several choices fit."""
    sizes, steps = op.ints("static_sizes"), op.ints("static_strides")
    given, wanted = _known_strides(op.operands[0].type), _known_strides(op.results[0].type)
    axes = range(len(sizes))
    for dropped in combinations((axis for axis in axes if sizes[axis] == 1), len(sizes) - len(wanted)):
        kept = [axis for axis in axes if axis not in dropped]
        if all(
            None in (stride, given[axis]) or steps[axis] == DYNAMIC or stride == given[axis] * steps[axis]
            for axis, stride in zip(kept, wanted, strict=True)
        ):
            return kept
    raise op.unsupported(f"a part {sizes} of {op.operands[0].type} as {op.results[0].type}")


def _known_strides(kind: MemRefType) -> list[int | None]:
    """The strides that a type says, None for each that only the launch knows."""
    if isinstance(kind.layout, StridedLayoutAttr):
        return [None if isinstance(stride, NoneAttr) else stride.data for stride in kind.layout.strides]
    shape = kind.get_shape()
    return [None if DYNAMIC in shape[axis + 1 :] else stride for axis, stride in enumerate(dense(shape))]


@handles("memref.collapse_shape")
@silent
def collapse_shape(translator, op: Op):
    """Of axes that are dense in each other."""
    groups = op.ints("reassociation")

    def view(source: MemRef) -> MemRef:
        shape, strides = [], []
        for group in groups:
            shape.append(math.prod(source.shape[axis] for axis in group))
            wide = [axis for axis in group if source.shape[axis] != 1] or [group[-1]]
            for outer, inner in zip(wide, wide[1:]):
                if source.strides[outer] != source.shape[inner] * source.strides[inner]:
                    raise op.unsupported(f"collapsing strides {source.strides}")
            strides.append(source.strides[wide[-1]])
        return MemRef(source.allocation, source.offset, tuple(shape), tuple(strides), source.dtype)

    return _derived(translator, op, view)


@handles("memref.expand_shape")
@silent
def expand_shape(translator, op: Op):
    """Row-major within each axis."""
    groups = op.ints("reassociation")
    static = op.ints("static_output_shape")

    def view(source: MemRef, *dynamic: int) -> MemRef:
        shape = _filled(static, dynamic)
        strides = [0] * len(shape)
        for stride, group in zip(source.strides, groups, strict=True):
            for axis in reversed(group):
                strides[axis] = stride
                stride *= shape[axis]
        return MemRef(source.allocation, source.offset, shape, tuple(strides), source.dtype)

    return _derived(translator, op, view)


@handles("memref.cast", "memref.memory_space_cast")
@silent
def cast(translator, op: Op):
    """The same memory."""
    return translator.pure(op, lambda source: source)


@handles("hivm.hir.bitcast")
@silent
def bitcast(translator, op: Op):
    """Elements of the same width."""
    dtype = element_type(op.results[0])

    def view(source: MemRef) -> MemRef:
        if source.dtype is BIT or dtype is BIT or source.dtype.itemsize != dtype.itemsize:
            raise op.unsupported(f"a bitcast of {source.dtype} to {dtype}")
        return MemRef(source.allocation, source.offset, source.shape, source.strides, dtype)

    return _derived(translator, op, view)


@handles("memref.dim")
@silent
def dim(translator, op: Op):
    """A size."""
    return translator.pure(op, lambda source, axis: source.shape[axis])


def element_of(source: MemRef, indices: Sequence[int]) -> MemRef:
    """One element of a memref."""
    offset = source.offset + sum(i * s for i, s in zip(indices, source.strides, strict=True))
    return MemRef(source.allocation, offset, (1,), (1,), source.dtype)


def elements() -> Callable[..., MemRef]:
    """As `element_of`; an element of a buffer that is the same in every run is made once."""
    made: dict[tuple, MemRef] = {}

    def element(source: MemRef, *indices: int) -> MemRef:
        if not (source.fixed and source.allocation.local):
            return element_of(source, indices)
        place = source, *indices
        found = made.get(place)
        if found is None:
            if len(made) >= MOST_KEPT:
                made.clear()
            found = made[place] = element_of(source, indices)
            found.fixed = True
        return found

    return element


def _read_bit(element: MemRef) -> bool:
    element.check()
    byte = element.allocation.data[element.allocation.start + element.offset // 8]
    return bool(byte >> (element.offset % 8) & 1)


def _reads(core, op: Op) -> Callable[[MemRef], ScalarAccess]:
    """The event of a load from global memory."""
    accesses = ScalarAccess(False, 1, op), ScalarAccess(False, 1, op, 1), ScalarAccess(False, 1, op, 1, 1)
    overlaps = follows_unused(op)

    def event(element: MemRef) -> ScalarAccess:
        return accesses[core.waits(id(element.allocation), int(element.address), overlaps)]

    return event


@handles("memref.load")
def load(translator, op: Op):
    """One element, by the scalar unit."""
    source, *indices = (translator.slot(operand) for operand in op.operands)
    result, core = translator.slot(op.results[0]), translator.core
    local = is_local(op.operands[0])
    translator.reads_local |= local
    near, at = ScalarAccess(True, 1, op), elements()
    event = (lambda element: near) if local else _reads(core, op)

    def step(env: list) -> None:
        element = at(env[source], *[env[index] for index in indices])
        try:
            env[result] = _read_bit(element) if element.dtype is BIT else element.array()[0].item()
        except OutOfBounds as error:
            if local:
                raise
            core.stray(op, error)
            env[result] = core.strays.number(element)
        core.trace.append(event(element))

    return step


@handles("memref.store")
def store(translator, op: Op):
    """One element, by the scalar unit."""
    value, target, *indices = (translator.slot(operand) for operand in op.operands)
    local = is_local(op.operands[1])
    translator.writes_global |= not local
    core, event, at = translator.core, ScalarAccess(local, 1, op), elements()

    def step(env: list) -> None:
        element = at(env[target], *[env[index] for index in indices])
        if core.before is not None and not local:
            core.before.keep(element)
        if element.dtype is BIT:
            element.check()
            place = element.allocation.start + element.offset // 8
            bit = 1 << (element.offset % 8)
            byte = int(element.allocation.data[place])
            element.allocation.data[place] = byte | bit if env[value] else byte & ~bit
        else:
            element.array()[0] = env[value]
        core.trace.append(event)

    return step
