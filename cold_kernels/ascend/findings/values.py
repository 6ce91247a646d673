"""Where the memory of a compiled program's operands comes from, and who else touches it: read off the module itself."""

from collections.abc import Iterator

from xdsl.ir import Block, SSAValue

from ..simulator.core.operations import Op, is_memref

CAST = "hivm.hir.pointer_cast"
VIEWS = (
    "memref.subview", "memref.cast", "memref.memory_space_cast", "memref.collapse_shape", "memref.expand_shape",
    "memref.reinterpret_cast", "hivm.hir.bitcast", "arith.select",
)  # fmt: skip
"""Operations whose result is the same memory as one of their operands."""
SILENT = ("annotation.mark", "memref.dim", "memref.extract_strided_metadata")
"""Operations on a memref that leave its elements alone."""


def buffers(value: SSAValue) -> set[SSAValue] | None:
    """The planned buffers that a memref may lie in: several where they are used in turns. None where that cannot be
    told, as of one that a loop carries."""
    found: set[SSAValue] = set()
    pending = [value]
    while pending:
        owner = pending.pop().owner
        if isinstance(owner, Block):
            return None
        op = Op(owner)
        if op.name == CAST:
            found.add(op.results[0])
        elif op.name in VIEWS:
            pending += [operand for operand in op.operands if is_memref(operand)][
                : None if op.name == "arith.select" else 1
            ]
        else:
            return None
    return found


def users(of: set[SSAValue]) -> Iterator[tuple[Op, int]]:
    """Operations on buffers or views of them, each with the place of the buffer among its operands."""
    pending, seen = list(of), set(of)
    while pending:
        for use in pending.pop().uses:
            op = Op(use.operation)
            if op.name not in VIEWS:
                if op.name not in SILENT:
                    yield op, use.index
            elif op.results[0] not in seen:
                seen.add(op.results[0])
                pending.append(op.results[0])


def writes(op: Op, place: int) -> bool:
    """Whether an operation writes the operand at this place: a copy its second one, others their group of targets."""
    if op.name in ("hivm.hir.load", "hivm.hir.store", "hivm.hir.copy"):
        return place == 1
    if op.name == "memref.store":
        return place == 1
    if op.name == "memref.load":
        return False
    groups = op.groups()
    if len(groups) < 2:
        return place == len(op.operands) - 1
    return len(groups[0]) <= place
