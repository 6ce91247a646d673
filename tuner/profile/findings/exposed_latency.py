"""Loads of a loop whose latency lies on the critical path, turn after turn."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from cold_kernels.ascend.simulator.core.operations import Op
from cold_kernels.ascend.simulator.profile.critical import critical_path
from cold_kernels.ascend.simulator.profile.recording import Recording
from cold_kernels.ascend.simulator.trace.work import LOAD, SCALAR

from ..profiled import ProfiledLaunch
from .codes import EXPOSED_LATENCY
from .finding import Finding, place_of
from .values import buffers

MOST_TURNS = 0.5
"""Share of a load's turns that have to be exposed: every row or phase of a kernel begins with one that is."""
LEAST = 0.01
"""Share of the launch's cycles from which on it is named."""


def exposed_latency(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line of loads; its price is their latency on the critical path of the core that finishes last.

    The first time that a program comes to a load is no turn: nothing is there yet that could hide it.
    """
    found = launch.profile
    exposed: Counter[Op] = Counter()
    turns: Counter[Op] = Counter()
    all_turns: Counter[Op] = Counter()
    waits: dict[Op, Counter[str]] = defaultdict(Counter)
    for recording in {id(recording): recording for _, recording in found.programs}.values():
        programs = sum(other is recording for _, other in found.programs)
        loads = Counter(part.op for part in recording.slices if part.pipe == LOAD and part.op)
        for op, times in loads.items():
            all_turns[op] += (times - 1) * programs
        for op, cycles, before in _exposed(recording):
            exposed[op] += cycles * programs
            turns[op] += programs
            waits[op][before] += programs
    lines: dict[str, list[Op]] = defaultdict(list)
    for op in exposed:
        if turns[op] > MOST_TURNS * all_turns[op]:
            lines[place_of(op, launch)].append(op)
    for place, ops in lines.items():
        cycles = sum(exposed[op] for op in ops)
        if cycles < LEAST * found.cycles:
            continue
        times = sum(turns[op] for op in ops)
        (before, _), *_ = sum((waits[op] for op in ops), Counter()).most_common()
        reason, help = _words(ops, before)
        yield Finding(
            EXPOSED_LATENCY,
            launch.function,
            place,
            f"{times} times the other pipes wait {cycles / times:.0f} cycles for the latency of this load: {reason}",
            help,
            cycles,
        )


def _exposed(recording: Recording) -> Iterator[tuple[Op, float, str]]:
    """Each load whose latency is on the critical path, but for its first execution: the cycles, and the pipe that it
    waited for before."""
    loads = {part.end: part for part in recording.slices if part.pipe == LOAD and part.op}
    first: dict[Op, float] = {}
    for end, part in loads.items():
        first[part.op] = min(end, first.get(part.op, end))
    steps = critical_path(recording)
    for number, step in enumerate(steps):
        part = loads.get(step.start) if (step.kind, step.pipe) == ("latency", LOAD) else None
        if part is not None and step.start > first[part.op]:
            before = next((one.pipe for one in steps[number + 1 :] if one.pipe != LOAD), SCALAR)
            yield part.op, step.end - step.start, before


def _words(ops: list[Op], before: str) -> tuple[str, str]:
    """Why nothing hides it, and what would."""
    planned = [buffers(op.operands[1]) for op in ops]
    if before == SCALAR:
        return (
            "the scalar unit comes to it only when what stands before it is done",
            "put it before what the scalar unit waits for: a reduction to one number, a number read from memory, a "
            "scalar-fallback",
        )
    if any(one is not None and len(one) == 1 for one in planned):
        return (
            "it has one buffer, so that it begins when its last tile has been used",
            'let two or three tiles be under way: tl.compile_hint(x, "hivm.multi_buffer", 2), or the compiler option '
            "multi_buffer, which does so where they fit",
        )
    count = max((len(one) for one in planned if one is not None), default=0)
    return (
        f"its {count} buffers hold less than passes in that time" if count else "its tiles do not overlap",
        "load larger tiles, so that a tile takes longer than the latency, or have more of them under way: "
        'tl.compile_hint(x, "hivm.multi_buffer", 3) or 4',
    )
