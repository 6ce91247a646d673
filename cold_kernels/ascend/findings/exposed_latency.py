"""Loads of a loop whose latency lies on the critical path, turn after turn."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ..simulator.core.operations import Op
from ..simulator.profile.critical import critical_path
from ..simulator.profile.recording import Recording
from ..simulator.trace.pipes import is_pipe
from ..simulator.trace.work import FIX, LOAD, LOAD_L0, MULTIPLY, SCALAR, STORE, VECTOR
from .codes import EXPOSED_LATENCY
from .finding import Finding, place_of
from .launch import ProfiledLaunch
from .masked_branches import is_fill
from .place import place
from .values import buffers

FILL = "fill"
PIPES = {
    VECTOR: "the vector pipe",
    STORE: "the store",
    LOAD_L0: "the load of L0",
    MULTIPLY: "the multiplication",
    FIX: "the way out of L0C",
}
MOST_TURNS = 0.5
"""Share of a load's turns that have to be exposed: every row or phase of a kernel begins with one that is."""
LEAST = 0.01
"""Share of the launch's cycles from which on it is named."""


class After(NamedTuple):
    """What a load came after: work of a pipe, or a `FILL` of its own buffer, and where that stands."""

    kind: str
    line: str


def exposed_latency(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line of loads; its price is their latency on the critical path of the core that finishes last.

    The first time that a program comes to a load is no turn: nothing is there yet that could hide it.
    """
    found = launch.profile
    exposed: Counter[Op] = Counter()
    turns: Counter[Op] = Counter()
    all_turns: Counter[Op] = Counter()
    waits: dict[Op, Counter[After]] = defaultdict(Counter)
    for recording in {id(recording): recording for _, recording in found.programs}.values():
        programs = sum(other is recording for _, other in found.programs)
        loads = Counter(part.op for part in recording.slices if is_pipe(part.pipe, LOAD) and part.op)
        for op, times in loads.items():
            all_turns[op] += (times - 1) * programs
        for op, cycles, after in _exposed(recording):
            exposed[op] += cycles * programs
            turns[op] += programs
            waits[op][after] += programs
    lines: dict[str, list[Op]] = defaultdict(list)
    for op in exposed:
        if turns[op] > MOST_TURNS * all_turns[op]:
            lines[place_of(op, launch)].append(op)
    for line, ops in lines.items():
        cycles = sum(exposed[op] for op in ops)
        if cycles < LEAST * found.cycles:
            continue
        times, of = (sum(counted[op] for op in ops) for counted in (turns, all_turns))
        ((after, _),) = sum((waits[op] for op in ops), Counter()).most_common(1)
        reason, help = _words(ops, after)
        yield Finding(
            EXPOSED_LATENCY,
            launch.function,
            line,
            f"{times} of {of} turns wait {cycles / times:.0f} cycles for its latency: {reason}",
            help,
            cycles,
        )


def _exposed(recording: Recording) -> Iterator[tuple[Op, float, After]]:
    """Each load whose latency is on the critical path, but for its first execution: the cycles, and what it came
    after."""
    loads = {(part.pipe, part.end): part for part in recording.slices if is_pipe(part.pipe, LOAD) and part.op}
    vector = {(part.pipe, part.end): part.op for part in recording.slices if is_pipe(part.pipe, VECTOR) and part.op}
    first: dict[Op, float] = {}
    for (_, end), part in loads.items():
        first[part.op] = min(end, first.get(part.op, end))
    steps = critical_path(recording)
    for number, step in enumerate(steps):
        part = loads.get((step.pipe, step.start)) if step.kind == "latency" else None
        if part is None or step.start <= first[part.op]:
            continue
        worked = (
            one for one in steps[number + 1 :] if not is_pipe(one.pipe, LOAD) and one.kind in ("work", "fallback")
        )
        before = next(worked, None)
        pipe, line = (before.pipe.rpartition(" ")[2], before.line) if before else (SCALAR, part.line)
        if pipe == VECTOR and _fills(vector.get((before.pipe, before.end)), part.op):
            pipe = FILL
        yield part.op, step.end - step.start, After(pipe, line)


def _fills(op: Op | None, load: Op) -> bool:
    """Whether an operation fills the buffer of a load."""
    if op is None or not is_fill(op):
        return False
    return bool((buffers(op.operands[1]) or set()) & (buffers(load.operands[1]) or set()))


def _words(ops: list[Op], after: After) -> tuple[str, str]:
    """Why nothing hides it, and what would."""
    where = place(after.line)
    if after.kind == FILL:
        return (
            f"its tile is filled with `other` first, at {where}, once the vector pipe comes to that",
            "let tiles divide the size, or treat the last one apart; without other= nothing is filled where nobody "
            "reads what is masked",
        )
    if after.kind == SCALAR:
        return (
            f"the scalar unit comes to it only after what stands before it, last of all {where}",
            "put it before what the scalar unit waits for: a tl.where, a reduction to one number, a number read from "
            "memory, a scalar-fallback",
        )
    planned = [len(one) for one in (buffers(op.operands[1]) for op in ops) if one]
    if planned and min(planned) == 1:
        return (
            f"it has one buffer, and begins when {PIPES[after.kind]} at {where} is done with that",
            'let two or three tiles be under way: tl.compile_hint(x, "hivm.multi_buffer", 2), or the compiler option '
            "multi_buffer, which does so where they fit",
        )
    having = f"it has {min(planned)} buffers, and still" if planned else "it"
    return (
        f"{having} begins only when {PIPES[after.kind]} at {where} is done",
        "load it earlier, before what it waits for; or larger tiles, so that a tile takes longer than the latency; or "
        'have more of them under way: tl.compile_hint(x, "hivm.multi_buffer", 3) or 4',
    )
