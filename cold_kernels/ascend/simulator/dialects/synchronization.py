"""Flags between pipes, barriers, and locks between programs."""

from functools import cache

from ...errors import Deadlock
from ..core.operations import Op, handles
from ..trace.events import ALL, Arrive, Barrier, FlagId, Lock, Meet, SetFlag, Unlock, WaitFlag
from ..trace.work import ALL_PIPES
from .groups import group_flag


def _pipe(op: Op, attribute: str) -> str:
    name = op.word(attribute).removeprefix("PIPE_")
    if name not in ALL_PIPES and not (name == ALL and op.name.endswith("barrier")):
        raise op.unsupported(f"the pipe {name}")
    return name


@handles("hivm.hir.set_flag", "hivm.hir.wait_flag")
def flag(translator, op: Op):
    """One flag for each pair of pipes and event, in order on its pipe; known or computed event."""
    kind = SetFlag if op.name.endswith("set_flag") else WaitFlag
    source, waiting = _pipe(op, "set_pipe"), _pipe(op, "wait_pipe")
    core = translator.core
    if not op.operands:
        number = int(op.word("static_event_id").removeprefix("EVENT_ID"))
        event = kind(FlagId(source, waiting, number), op)

        def step(env: list) -> None:
            core.trace.append(event)

        return step
    slot = translator.slot(op.operands[0])

    @cache
    def numbered(number: int) -> SetFlag | WaitFlag:
        return kind(FlagId(source, waiting, number), op)

    def dynamic_step(env: list) -> None:
        core.trace.append(numbered(env[slot]))

    return dynamic_step


@handles("hivm.hir.pipe_barrier")
def barrier(translator, op: Op):
    """Of one pipe or of all."""
    core, event = translator.core, Barrier(_pipe(op, "pipe"), op)

    def step(env: list) -> None:
        core.trace.append(event)

    return step


@handles("hivm.hir.sync_block_lock", "hivm.hir.sync_block_unlock")
def lock(translator, op: Op):
    """A lock that programs pass one by one, in the order of the grid: its variable says whose turn it is.

    The compiler puts it around an atomic operation whose old value is used, or that the copy engine lacks.
    """
    if op.attribute("hivm.sync_block_lock_with_subblock") is not None:
        raise op.unsupported("a lock that the vector cores of a group take one after the other")
    variable, core, entering = translator.slot(op.operands[0]), translator.core, not op.name.endswith("unlock")

    def step(env: list) -> None:
        ref = env[variable]
        turn = ref.array()
        if not entering:
            turn[0] = core.block + 1
        elif turn[0] != core.block:
            raise Deadlock(
                f"program {core.block} waits for a lock that is at program {turn[0]}; all pass it in turn, each once"
            )
        core.trace.append((Lock if entering else Unlock)(ref.address, op))

    return step


@handles("hivm.hir.sync_block_set", "hivm.hir.sync_block_wait")
def meeting(translator, op: Op):
    """Flags between a cube core and its vector cores, known or computed, or a barrier of all vector cores, with a known
    flag; what is issued behind a wait waits on every pipe."""
    arriving, core = op.name.endswith("set"), translator.core
    if translator.mixed:
        return group_flag(translator, op, _pipe(op, "tpipe") if arriving else "")
    if op.word("tcore_type") != "VECTOR" or op.attribute("static_flag_id") is None:
        raise op.unsupported("synchronisation with cube cores, or by a computed flag,")
    if arriving and op.word("tsync_instr_mode") != "INTER_BLOCK_SYNCHRONIZATION":
        raise op.unsupported(f"the mode {op.word('tsync_instr_mode')}")
    translator.meets = True
    number = op.number("static_flag_id")
    event = Arrive(_pipe(op, "tpipe"), number, op) if arriving else Meet(number, op)

    def step(env: list) -> None:
        core.trace.append(event)
        (core.concurrent.arrive if arriving else core.concurrent.meet)(number)

    return step
