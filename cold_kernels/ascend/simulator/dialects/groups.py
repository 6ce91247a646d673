"""Flags between a cube core and its vector cores, and which of these a core is."""

from collections.abc import Callable, Iterator

from ..core.operations import Op, handles
from ..core.waiting import Wait, waiting
from ..trace.events import SetCounter, WaitCounter
from .arithmetic import silent

BETWEEN_CORES = ("", "INTRA_BLOCK_SYNCHRONIZATION")


def group_flag(translator, op: Op, pipe: str) -> Callable:
    """A flag of the group, known or computed; what is issued behind a wait waits on every pipe."""
    core = translator.core
    fixed = op.attribute("static_flag_id") is not None
    number = op.number("static_flag_id")
    slot = None if fixed else translator.slot(op.operands[0])
    if op.name.endswith("set"):
        if op.word("tsync_instr_mode") not in BETWEEN_CORES:
            raise op.unsupported(f"the mode {op.word('tsync_instr_mode')} in a mixed program")

        def step(env: list) -> None:
            flag = number if fixed else int(env[slot])
            core.trace.append(SetCounter(pipe, flag, op))
            core.group.set(core.number, flag)

        return step

    @waiting
    def wait(env: list) -> Iterator[Wait]:
        flag = number if fixed else int(env[slot])
        yield from core.group.wait(Wait(flag, op), core.number)
        core.trace.append(WaitCounter(flag, op))

    return wait


@handles("hivm.hir.get_sub_block_idx")
@silent
def sub_block(translator, op: Op):
    """Which of its group's vector cores a core is; 0 on a core that is in no group."""
    result, core = translator.slot(op.results[0]), translator.core

    def step(env: list) -> None:
        env[result] = max(0, core.number - 1)

    return step
