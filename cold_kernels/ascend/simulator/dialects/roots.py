"""Which memrefs from outside a loop the single elements that it reads and writes are in."""

from collections.abc import Iterator

from xdsl.ir import Block, SSAValue

from ..core.operations import Op, is_memref

ELEMENTS = ("memref.load", "memref.store")
"""By the place of the memref among their operands."""

VIEWS = "memref.", "hivm.hir.bitcast"
"""Beginnings of the names of operations whose first operand is the memref that their result is a view of."""


def roots(op: Op, kind: str) -> list[SSAValue]:
    """The memrefs from outside a loop that its operations of a kind (of `ELEMENTS`) may access, or views of them."""
    inside = set(op.raw.walk())
    accesses = (inner for inner in map(Op, op.raw.walk()) if inner.name == kind)
    return [root for access in accesses for root in _roots(access.operands[ELEMENTS.index(kind)], inside)]


def _roots(value: SSAValue, inside: set) -> Iterator[SSAValue]:
    owner = value.owner.parent_op() if isinstance(value.owner, Block) else value.owner
    op = Op(owner)
    memrefs = [operand for operand in op.operands if is_memref(operand)]
    if owner not in inside or not memrefs:
        yield value
        return
    for operand in memrefs[:1] if op.name.startswith(VIEWS) else memrefs:
        yield from _roots(operand, inside)
