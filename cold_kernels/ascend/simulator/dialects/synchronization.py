"""Flags between pipes, barriers, and locks between programs."""

from ..core.operations import Op, handles
from ..timing.timeline import Deadlock
from ..trace.work import ARRIVE, BARRIER, LOCK, MEET, PIPES, SET_FLAG, UNLOCK, WAIT_FLAG


def _pipe(op: Op, attribute: str) -> str:
    name = op.word(attribute).removeprefix("PIPE_")
    if name not in PIPES and not (name == "ALL" and op.name.endswith("barrier")):
        raise op.unsupported(f"the pipe {name}")
    return name


@handles("hivm.hir.set_flag", "hivm.hir.wait_flag")
def flag(translator, op: Op):
    """One flag for each pair of pipes and event, in order on its pipe; known or computed event."""
    kind = SET_FLAG if op.name.endswith("set_flag") else WAIT_FLAG
    source, waiting = _pipe(op, "set_pipe"), _pipe(op, "wait_pipe")
    core = translator.core
    if not op.operands:
        event = (kind, source, waiting, int(op.word("static_event_id").removeprefix("EVENT_ID")), op)

        def step(env: list) -> None:
            core.trace.append(event)

        return step
    slot = translator.slot(op.operands[0])

    def dynamic_step(env: list) -> None:
        core.trace.append((kind, source, waiting, env[slot], op))

    return dynamic_step


@handles("hivm.hir.pipe_barrier")
def barrier(translator, op: Op):
    """Of one pipe or of all."""
    core, event = translator.core, (BARRIER, _pipe(op, "pipe"), op)

    def step(env: list) -> None:
        core.trace.append(event)

    return step


@handles("hivm.hir.sync_block_lock", "hivm.hir.sync_block_unlock")
def lock(translator, op: Op):
    """A lock that programs pass one by one, in the order of the grid: its variable says whose turn it is.

    The compiler puts it around an atomic operation whose old value is used, or that the copy engine lacks.
    """
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
        core.trace.append((LOCK if entering else UNLOCK, ref.address, op))

    return step


@handles("hivm.hir.sync_block_set", "hivm.hir.sync_block_wait")
def meeting(translator, op: Op):
    """A barrier of the vector cores, with a known flag; what is issued behind it waits on every pipe."""
    arriving, core = op.name.endswith("set"), translator.core
    if op.word("tcore_type") != "VECTOR" or op.attribute("static_flag_id") is None:
        raise op.unsupported("synchronisation with cube cores, or by a computed flag,")
    if arriving and op.word("tsync_instr_mode") != "INTER_BLOCK_SYNCHRONIZATION":
        raise op.unsupported(f"the mode {op.word('tsync_instr_mode')}")
    translator.meets = True
    flag = op.number("static_flag_id")
    event = (ARRIVE, _pipe(op, "tpipe"), flag, op) if arriving else (MEET, flag, op)

    def step(env: list) -> None:
        core.trace.append(event)
        (core.company.arrive if arriving else core.company.meet)(flag)

    return step
