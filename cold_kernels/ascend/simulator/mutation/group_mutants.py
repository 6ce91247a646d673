"""What can be broken of the way in which the cores of a group hand data to each other."""

import math
from collections.abc import Iterator, Sequence

from xdsl.dialects.arith import AddiOp, ConstantOp
from xdsl.dialects.builtin import IndexType, IntegerAttr
from xdsl.ir import Operation
from xdsl.rewriter import InsertPoint, Rewriter

from ..core.memory import BLOCK
from ..core.operations import Op, element_type
from ..core.spaces import space_of

SET, WAIT, VIEW = "hivm.hir.sync_block_set", "hivm.hir.sync_block_wait", "memref.view"


def group_edits(operations: Sequence[Op]) -> Iterator[tuple]:
    """Edits of `mutants`: without a set, without a wait, with another flag, with the workspace elsewhere."""
    syncs = [op for op in operations if op.name in (SET, WAIT) and _in_group(op)]
    flags = sorted({op.number("static_flag_id") for op in syncs if op.attribute("static_flag_id") is not None})
    for op in syncs:
        what = "set" if op.name == SET else "wait"
        yield what, f"without {op!r}", _erase, op
        if op.attribute("static_flag_id") is None:
            continue
        flag = op.number("static_flag_id")
        others = [other for other in flags if other != flag]
        if others:
            yield "counter", f"{op!r}: flag {others[0]} for {flag}", _with_flag(others[0]), op
    for op in operations:
        if op.name == VIEW and space_of(op.operands[0]) == "gm":
            shape = op.results[0].type.get_shape()
            if any(size < 0 for size in shape):
                continue
            half = math.prod(shape) * element_type(op.results[0]).itemsize // 2 // BLOCK * BLOCK
            if half:
                yield "workspace", f"{op!r}: {half} bytes further on", _moved(half), op


def _in_group(op: Op) -> bool:
    parent = op.raw
    while parent.parent_op() is not None and parent.name != "func.func":
        parent = parent.parent_op()
    return "hivm.part_of_mix" in parent.attributes


def _erase(*ops: Operation) -> None:
    for op in ops:
        Rewriter.erase_op(op)


def _with_flag(flag: int):
    def change(op: Operation) -> None:
        for fields in (op.properties, op.attributes):
            if "static_flag_id" in fields:
                fields["static_flag_id"] = IntegerAttr(flag, fields["static_flag_id"].type)

    return change


def _moved(distance: int):
    def change(view: Operation) -> None:
        step = ConstantOp(IntegerAttr(distance, IndexType()))
        place = AddiOp(view.operands[1], step.result)
        for op in (step, place):
            Rewriter.insert_op(op, InsertPoint.before(view))
        view.operands[1] = place.result

    return change
