"""Programs with one thing of their synchronisation or memory plan broken, made from a compiled program's text."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...chips import UB_BYTES
from ...program import Program
from ..binding import detached
from ..launch import Launch
from ..memory import BLOCK, Allocation, MemRef
from ..operations import Op
from ..work import BARRIER, SET_FLAG, WAIT_FLAG
from .recorder import Recorder

_NAME = re.compile(r'"((?:hivm|arith)\.[\w.]+)"\(')


@dataclass(frozen=True)
class Mutant:
    """A program that differs from a compiled one in one place.

    Args:
        what: ``pair``, ``barrier``, ``address``, ``buffers``, ``event``.
        change: What was changed, with lines of the Triton source.
    """

    what: str
    change: str
    program: Program


def mutants(program: Program, args: Sequence, grid: Sequence[int]) -> Iterator[Mutant]:
    """Every mutant of what a launch executes."""
    launch = Launch(program, grid)
    recorder = Recorder(launch.core)
    with launch.held():
        traces = launch.run(detached(args), recorder)
    text = _Text(program, next(event[-1] for event in traces[0] if event[0] == BARRIER))
    yield from _without_pairs(text, traces)
    for op in _executed(traces, BARRIER):
        yield text.mutant("barrier", f"without {op!r}", {text.line(op): []})
    yield from _moved_buffers(text, launch, recorder)
    yield from _swapped_buffers(text)
    yield from _other_events(text, traces)


class _Text:
    """A program's lines, and which of them each operation is: those of one name follow one another in both."""

    def __init__(self, program: Program, any_op: Op) -> None:
        self.program, self.lines = program, program.hivm.splitlines()
        places = defaultdict(deque)
        for number, line in enumerate(self.lines):
            if found := _NAME.search(line):
                places[found[1]].append(number)
        self._numbers = {}
        for raw in any_op.raw.get_toplevel_object().walk():
            if places[name := Op(raw).name]:
                self._numbers[raw] = places[name].popleft()
        self.operations = list(map(Op, self._numbers))

    def line(self, op: Op) -> int:
        return self._numbers[op.raw]

    def of(self, op: Op) -> str:
        return self.lines[self.line(op)]

    def mutant(self, what: str, change: str, edits: dict[int, list[str]]) -> Mutant:
        """The program with some lines replaced."""
        lines = [new for number, line in enumerate(self.lines) for new in edits.get(number, [line])]
        return Mutant(what, change, replace(self.program, hivm="\n".join(lines)))


def _executed(traces: Sequence[tuple], *kinds: int) -> list[Op]:
    return list(dict.fromkeys(event[-1] for trace in traces for event in trace if event[0] in kinds))


def _without_pairs(text: _Text, traces: Sequence[tuple]) -> Iterator[Mutant]:
    """A set and the wait that it answers go together, with whatever else either is paired with in a loop."""
    group = {op: {op} for op in _executed(traces, SET_FLAG, WAIT_FLAG)}
    for trace in traces:
        waiting: dict[tuple, deque[Op]] = defaultdict(deque)
        for event in trace:
            if event[0] == SET_FLAG:
                waiting[event[1:4]].append(event[4])
            elif event[0] == WAIT_FLAG:
                joined = group[waiting[event[1:4]].popleft()] | group[event[4]]
                group.update(dict.fromkeys(joined, joined))
    for ops in {id(ops): ops for ops in group.values()}.values():
        names = sorted({repr(op) for op in ops})
        yield text.mutant("pair", f"without {', '.join(names)}", {text.line(op): [] for op in ops})


def _moved_buffers(text: _Text, launch: Launch, recorder: Recorder) -> Iterator[Mutant]:
    """A buffer's address onto that of the nearest one that lives at the same time, and a block into it."""
    casts = {
        memref.allocation: Op(value.owner)
        for value, memref in launch.translator.known.items()
        if isinstance(memref, MemRef) and Op(value.owner).name == "hivm.hir.pointer_cast"
    }
    for buffer, neighbour in _neighbours(recorder).items():
        size = buffer.end - buffer.start
        into = neighbour.start - size + BLOCK if neighbour.start > buffer.start else neighbour.end - BLOCK
        for address in dict.fromkeys((neighbour.start, into - into % BLOCK)):
            if address == buffer.start or not 0 <= address <= UB_BYTES - size:
                continue
            op = casts[buffer]
            line = text.of(op)
            moved = re.sub(r'("hivm.hir.pointer_cast"\()%\w+', r"\1%moved", line)
            constant = f'%moved = "arith.constant"() <{{value = {address} : i64}}> : () -> i64'
            change = f"{op!r}: {buffer.name} at {address}, where {neighbour.name} is"
            yield text.mutant("address", change, {text.line(op): [constant, moved]})


def _neighbours(recorder: Recorder) -> dict[Allocation, Allocation]:
    """For each buffer the nearest other one that is alive at the same time."""
    nearest: dict[Allocation, Allocation] = {}
    for accesses in recorder.locals.values():
        places: dict[Allocation, list[int]] = defaultdict(list)
        for access in accesses:
            for region in (*access.reads, *access.writes):
                places[region.allocation].append(access.place)
        for one, mine in places.items():
            beside = [
                other
                for other, theirs in places.items()
                if (other.end <= one.start or one.end <= other.start) and mine[0] < theirs[-1] and theirs[0] < mine[-1]
            ]
            if beside:
                nearest.setdefault(one, min(beside, key=lambda other: abs(other.start - one.start)))
    return nearest


def _swapped_buffers(text: _Text) -> Iterator[Mutant]:
    """Two buffers that take turns, the other way round where one of them is chosen."""
    for op in text.operations:
        line = text.of(op)
        if op.name == "arith.select" and "memref<" in line.partition("loc(")[0]:
            change = f"{op!r}: the other of two buffers"
            yield text.mutant("buffers", change, {text.line(op): [_other_choice(line)]})


def _other_choice(line: str) -> str:
    return re.sub(r'("arith.select"\(%\w+), (%\w+), (%\w+)\)', r"\1, \3, \2)", line)


def _other_events(text: _Text, traces: Sequence[tuple]) -> Iterator[Mutant]:
    """A flag with the event of another one between the same pipes."""
    used: dict[tuple, set[int]] = defaultdict(set)
    for trace in traces:
        for event in trace:
            if event[0] == SET_FLAG:
                used[event[1:3]].add(event[3])
    flags = {event[4]: event for trace in traces for event in trace if event[0] in (SET_FLAG, WAIT_FLAG)}
    for op, (_, source, waiting, identity, _) in flags.items():
        line = text.of(op)
        if op.operands:
            choice = Op(op.operands[0].owner)
            if choice.name != "arith.select":
                continue
            other = re.sub(r"%\w+ = ", "%other = ", _other_choice(text.of(choice)))
            new = [other, re.sub(r"\(%\w+\)", "(%other)", line, count=1)]
        else:
            following = sorted(used[source, waiting] - {identity})
            if not following:
                continue
            new = [line.replace(f"EVENT_ID{identity}>", f"EVENT_ID{following[0]}>")]
        yield text.mutant("event", f"{op!r}: another event", {text.line(op): new})
