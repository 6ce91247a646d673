"""What in a loop over single elements, which the compiler made, neither vector unit nor copy engine can do."""

from collections.abc import Iterator
from typing import NamedTuple

from xdsl.ir import Block, SSAValue

from ..simulator.core.operations import Op, is_local, is_memref, type_name
from .values import buffers

ACCESSES = {"memref.load": 0, "memref.store": 1}
"""Accesses to single elements, each with the place of the memref among its operands."""
EXTRACTED = "ExtractedLoadOrStore"
"""How the compiler marks a loop in which it takes a copy apart whose addresses follow no pattern."""
REMAINDERS = ("arith.remsi", "arith.remui", "arith.remf")
DIVISIONS = ("arith.divsi", "arith.divui", "arith.floordivsi", "arith.ceildivsi", "arith.ceildivui")
NARROW = "cast what is loaded at once where the values fit: tl.load(...).to(tl.int32)"
CASTS = ("arith.trunci", "arith.extsi", "arith.extui", "arith.bitcast")
"""What comes of another operation's type."""


class Blame(NamedTuple):
    """The operation that is to blame, why, and what would help."""

    op: Op
    reason: str
    help: str


def takes_elements(loop: Op) -> bool:
    """Whether a loop reads or writes single elements of the unified buffer, which no line of Triton asks for."""
    return any(is_local(op.operands[ACCESSES[op.name]]) for op in _accesses(loop))


def blame(loop: Op) -> Blame:
    """Of a loop for which `takes_elements` holds."""
    accesses = list(_accesses(loop))
    if EXTRACTED in loop.raw.attributes:
        return _scattered(loop, accesses)
    stores = [op for op in accesses if op.name == "memref.store"]
    computed = list(_computed(loop, stores))
    for names, found in ((REMAINDERS, _remainder), (DIVISIONS, _division)):
        for op in computed:
            if op.name in names:
                return found(op)
    if computed and any(_runs_on(op, stores) for op in accesses if op.name == "memref.load"):
        return Blame(
            computed[0],
            f"a running result ({_named(computed[0])}): every element needs the one before",
            "run it along the first axis of a tile [N, M], where whole rows are added; for the last element alone use "
            "tl.sum, in fp32",
        )
    wide = [op for op in computed if "i64" in map(type_name, (*op.operands, *op.results))]
    if wide:
        worst = min(wide, key=lambda op: op.name in CASTS)
        return Blame(
            worst,
            f"int64 ({_named(worst)}): the vector unit has no arithmetic and no comparisons of 64 bits",
            NARROW,
        )
    worst = computed[0] if computed else loop
    return Blame(
        worst,
        f"{_named(worst)}: the compiler has no vector form of it" if computed else "elements are moved one by one",
        "write it in operations that the vector unit has, in fp16, fp32, int16 or int32",
    )


def _named(op: Op) -> str:
    return f"{op.name.removeprefix('arith.').removeprefix('math.')} of {type_name(op.operands[0])}"


def _remainder(op: Op) -> Blame:
    kind = type_name(op.operands[0])
    return Blame(
        op,
        f"% of {kind}: the vector unit has no remainder",
        "for a power of two x & (d - 1); else x - d * (x // d) in int32, exact while both are below 2**24, since // "
        "goes through fp32; of addresses better in scalars, before tl.arange comes in",
    )


def _division(op: Op) -> Blame:
    kind = type_name(op.operands[0])
    return Blame(
        op,
        f"integer division of {kind}: the vector unit divides floats alone",
        "for a power of two x >> n; else in int32, exact while both are below 2**24, since // goes through fp32 there; "
        "of addresses better in scalars, before tl.arange comes in",
    )


def _scattered(loop: Op, accesses: list[Op]) -> Blame:
    stored = any(op.name == "hivm.hir.store" for op in map(Op, loop.raw.walk())) or any(
        op.name == "memref.store" and not is_local(op.operands[1]) for op in accesses
    )
    what = "a scatter" if stored else "a gather"
    how = "write whole rows" if stored else "load whole rows, or load the table once and take from it by tl.gather"
    return Blame(
        loop,
        f"{what} by a vector of indices: every element has an address of its own in global memory",
        f"{how}: one index is a scalar, tl.load(i_ptr + row), and the elements behind it a range",
    )


def _accesses(loop: Op) -> Iterator[Op]:
    return (op for op in map(Op, loop.raw.walk()) if op.name in ACCESSES)


def _memory(access: Op) -> set[SSAValue]:
    value = access.operands[ACCESSES[access.name]]
    return buffers(value) or {value}


def _runs_on(load: Op, stores: list[Op]) -> bool:
    """Whether a load reads what an earlier turn of its loop stored: another element, or one that stays the same."""
    _, *where = load.operands
    turn = load.raw.parent_block()
    same = all(index.owner is not turn and not _within_block(index.owner, turn) for index in where)
    return any(_memory(load) & _memory(store) and (same or where != store.operands[2:]) for store in stores)


def _within_block(owner, block: Block) -> bool:
    return not isinstance(owner, Block) and owner.parent_block() is block


def _computed(loop: Op, stores: list[Op]) -> Iterator[Op]:
    """What makes the stored values from loaded ones, last one first; not what makes addresses."""
    pending, seen = [op.operands[0] for op in stores], set()
    while pending:
        owner = pending.pop(0).owner
        if isinstance(owner, Block) or owner in seen or not _within(owner, loop):
            continue
        seen.add(owner)
        op = Op(owner)
        if op.name in ACCESSES:
            continue
        if not is_memref(op.results[0]) and op.name.startswith(("arith.", "math.")):
            yield op
        pending += op.operands


def _within(owner, loop: Op) -> bool:
    while owner is not None and owner is not loop.raw:
        owner = owner.parent_op()
    return owner is loop.raw
