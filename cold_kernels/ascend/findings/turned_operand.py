"""Operands of the cube core that a vector core transposes, element by element or by transposing, and hands to it."""

from collections import defaultdict
from collections.abc import Iterator

from xdsl.ir import SSAValue

from ..simulator.core.operations import Op
from ..simulator.profile.price import saved, without_scalar_unit
from ..simulator.trace.events import Event, Issue
from ..simulator.trace.fallbacks import STRIDED
from ..simulator.trace.work import LOAD
from .codes import TURNED_OPERAND
from .finding import Finding, events, place_of
from .launch import ProfiledLaunch
from .values import VIEWS, buffers, users

STORE, WORKSPACE = "hivm.hir.store", "memref.view"
TURNING = ("hivm.hir.vtranspose", "hivm.hir.vdeinterleave")
"""The second one brings together elements that were loaded to a block each."""


def turned_operand(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line; its price is what the scalar unit, or the transposing, adds to a plain copy."""
    if len(launch.simulation.execution.kinds) == 1:
        return
    lines: dict[str, set[Event]] = defaultdict(set)
    for event in events(launch):
        if isinstance(event, Issue) and event.op and _turns(event) and _handed_over(event.op):
            lines[place_of(event.op, launch)].add(event)
    for place, found in lines.items():
        yield Finding(
            TURNED_OPERAND,
            launch.function,
            place,
            "tl.dot takes an operand whose rows do not lie beside each other in memory, so that a vector core turns it "
            "and hands it to the cube core through the workspace",
            "load it as it lies, rows along its contiguous axis, and give tl.dot its tl.trans, which costs the cube "
            "core nothing; or lay the tensor out the other way round",
            saved(launch.simulation, lambda event, found=found: _plain(event) if event in found else event),
        )


def _turns(event: Issue) -> bool:
    """Whether an operation reads along one axis what it writes along another one."""
    return event.op.name in TURNING or (event.work.pipe == LOAD and event.work.fallback == STRIDED)


def _plain(event: Issue) -> Issue | None:
    return None if event.op.name in TURNING else without_scalar_unit(event)


def _handed_over(op: Op) -> bool:
    """Whether what an operation writes to a buffer is stored to the workspace, as it is."""
    written = buffers(op.operands[1]) or set()
    return any(user.name == STORE and place == 0 and _in_workspace(user.operands[1]) for user, place in users(written))


def _in_workspace(value: SSAValue) -> bool:
    while hasattr(value.owner, "operands"):
        op = Op(value.owner)
        if op.name == WORKSPACE:
            return True
        if op.name not in VIEWS:
            return False
        value = op.operands[0]
    return False
