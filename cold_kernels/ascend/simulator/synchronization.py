"""Flags between pipes, and barriers."""

from .operations import Op, handles
from .work import BARRIER, PIPES, SET_FLAG, WAIT_FLAG


def _pipe(op: Op, attribute: str) -> str:
    name = op.word(attribute).removeprefix("PIPE_")
    if name not in PIPES and not (name == "ALL" and op.name.endswith("barrier")):
        raise op.unsupported(f"the pipe {name}")
    return name


@handles("hivm.hir.set_flag", "hivm.hir.wait_flag")
def flag(translator, op: Op):
    kind = SET_FLAG if op.name.endswith("set_flag") else WAIT_FLAG
    source, waiting = _pipe(op, "set_pipe"), _pipe(op, "wait_pipe")
    core = translator.core
    if not op.operands:
        event = (kind, source, waiting, int(op.word("static_event_id").removeprefix("EVENT_ID")))

        def step(env: list) -> None:
            core.trace.append(event)

        return step
    slot = translator.slot(op.operands[0])

    def dynamic_step(env: list) -> None:
        core.trace.append((kind, source, waiting, env[slot]))

    return dynamic_step


@handles("hivm.hir.pipe_barrier")
def barrier(translator, op: Op):
    core, event = translator.core, (BARRIER, _pipe(op, "pipe"))

    def step(env: list) -> None:
        core.trace.append(event)

    return step
