"""Which bytes an operation reads and writes when it runs, for those who watch a program."""

from collections.abc import Callable

from xdsl.ir import SSAValue

from ..core.effects import Effects
from ..core.memory import BLOCK, MemRef, kept
from ..core.operations import Op, is_memref
from ..core.regions import Region, everything, inside, region
from ..dialects.copies import by_scalar, layout_of
from ..dialects.cube import to_l1_effects
from ..dialects.elementwise import whole_repeats
from ..dialects.memref import elements
from ..dialects.ordering import filled_up
from ..dialects.roots import ELEMENTS, roots
from ..dialects.scalar_loops import is_scalar
from ..trace.work import LOAD


def effects(translator, op: Op) -> Callable[[list], Effects] | None:
    """The function from the environment to `Effects`; None for an operation that touches no memory itself."""
    if op.name in ELEMENTS:
        return _element(translator, op)
    if op.name in ("scf.for", "scf.while"):
        return _loop(translator, op) if is_scalar(op) else None
    if not op.name.startswith("hivm.hir.") or "sync_block" in op.name:
        return None
    if op.name in SPECIAL:
        return SPECIAL[op.name](translator, op)
    reads, writes = _roles(op)
    if not reads and not writes:
        return None
    return _whole(translator, reads, writes)


def _whole(translator, reads: list[SSAValue], writes: list[SSAValue]) -> Callable[[list], Effects]:
    """Effects on all elements of memrefs: the same object where these are the same in every run."""
    slots, first = [translator.slot(value) for value in (*reads, *writes)], len(reads)

    @kept
    def of(*refs: MemRef) -> Effects:
        read, written = ([region(ref) for ref in some] for some in (refs[:first], refs[first:]))
        return Effects(tuple(r for r in read if r is not None), tuple(r for r in written if r is not None))

    return lambda env: of(*[env[slot] for slot in slots])


def _roles(op: Op) -> tuple[list[SSAValue], list[SSAValue]]:
    """Memrefs that an operation in destination style reads and writes; what it needs for itself it writes."""
    if op.attribute("operandSegmentSizes") is not None:
        reads, *writes = op.groups()
    else:
        reads, writes = op.operands[:1], [op.operands[1:]]
    return [v for v in reads if is_memref(v)], [v for group in writes for v in group if is_memref(v)]


def _regions(translator, values: list[SSAValue]) -> Callable[[list], tuple[Region, ...]]:
    slots = [translator.slot(value) for value in values]
    of = kept(region)
    return lambda env: tuple(found for slot in slots if (found := of(env[slot])) is not None)


def _element(translator, op: Op) -> Callable[[list], Effects]:
    place = ELEMENTS.index(op.name)
    memref, *indices = (translator.slot(value) for value in op.operands[place:])

    element = elements()

    @kept
    def of(ref: MemRef) -> Effects:
        touched = (region(ref),)
        return Effects((), touched) if place else Effects(touched, ())

    return lambda env: of(element(env[memref], *[env[index] for index in indices]))


def _loop(translator, op: Op) -> Callable[[list], Effects]:
    """Of a loop of scalar work: all of the buffers and tensors that it touches, one element of them or more."""
    touched = [[translator.slot(root) for root in roots(op, kind)] for kind in ELEMENTS]

    def at(env: list) -> Effects:
        reads, writes = (tuple({env[slot].allocation: None for slot in slots}) for slots in touched)
        return Effects(tuple(map(everything, reads)), tuple(map(everything, writes)))

    return at


def _load(translator, op: Op) -> Callable[[list], Effects]:
    (source,), (target,), _, left, *_ = op.groups()
    source, target = translator.slot(source), translator.slot(target)
    left_slot = translator.slot(left[0]) if left else None
    exact, layout = kept(region), kept(layout_of)

    def at(env: list) -> Effects:
        memory, buffer = env[source], env[target]
        written = exact(buffer)
        if written is None:
            return Effects((), ())
        before = (env[left_slot] if left else 0) * buffer.dtype.itemsize
        after = -(written.start + written.run) % BLOCK
        if after and by_scalar(LOAD, memory, buffer, layout):
            after = 0
        if before or after:
            start, run = written.start - before, written.run + before + after
            written = Region(written.allocation, start, run, written.shape, written.strides)
        return Effects((region(memory),), (written,))

    return at


def _store(translator, op: Op) -> Callable[[list], Effects]:
    source, target = (_regions(translator, [value]) for value in op.operands)
    atomic = op.word("atomic_kind", "none") != "none"
    return lambda env: Effects(source(env), tuple(part for whole in target(env) for part in inside(whole)), atomic)


def _compare(translator, op: Op) -> Callable[[list], Effects]:
    """A comparison of whole repeats writes up to their end. What it reads past the last element does not count."""
    sources, (target,) = op.groups()
    vectors, last = [translator.slot(value) for value in sources if is_memref(value)], translator.slot(target)
    whole = not op.ints("transpose") and all(map(is_memref, sources))

    @kept
    def of(*refs: MemRef) -> Effects:
        repeats = whole_repeats(list(refs)) if whole else None
        written = region(refs[-1])
        if repeats and written is not None:
            written = Region(written.allocation, written.start, region(repeats[-1]).run)
        read = tuple(found for ref in refs[:-1] if (found := region(ref)) is not None)
        return Effects(read, () if written is None else (written,))

    return lambda env: of(*[env[slot] for slot in vectors], env[last])


def _gather(translator, op: Op) -> Callable[[list], Effects]:
    values, indices, *targets = [value for value in op.operands if is_memref(value)]
    return _whole(translator, [values, indices], targets)


def _arange(translator, op: Op) -> Callable[[list], Effects]:
    return _whole(translator, [], op.groups()[0])


def _sort(translator, op: Op) -> Callable[[list], Effects]:
    """A sort fills up the rows of its source."""
    (source,), *targets = op.groups()
    slot = translator.slot(source)
    read, written = (
        _regions(translator, [source]),
        _regions(translator, [value for group in targets for value in group]),
    )

    def at(env: list) -> Effects:
        rest = filled_up(env[slot])
        return Effects(read(env), written(env) if rest is None else (*written(env), region(rest)))

    return at


SPECIAL = {
    "hivm.hir.load": _load,
    "hivm.hir.store": _store,
    "hivm.hir.nd2nz": to_l1_effects,
    "hivm.hir.vcmp": _compare,
    "hivm.hir.vgather": _gather,
    "hivm.hir.varange": _arange,
    "hivm.hir.vsort": _sort,
}
