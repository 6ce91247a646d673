"""Programs with one thing of their synchronisation or memory plan broken, made from a compiled program."""

import random
from collections import defaultdict, deque
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace

from xdsl.dialects.arith import ConstantOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from ...program import Program
from ..core.binding import detached
from ..core.memory import BLOCK, Allocation, MemRef
from ..core.operations import Op, OperandOp
from ..dialects.multiply import NO_EVENT
from ..execute.launch import GridLaunch
from ..hazards.recorder import Recorder
from ..trace.events import Barrier, FlagId, SetFlag, Trace, WaitFlag, by_core
from .group_mutants import group_edits

CAST, SELECT = "hivm.hir.pointer_cast", "arith.select"
BARRIER, FLAGS = "hivm.hir.pipe_barrier", ("hivm.hir.set_flag", "hivm.hir.wait_flag")


@dataclass(frozen=True)
class Mutant:
    """A program that differs from a compiled one in one place.

    Args:
        what: ``pair``, ``barrier``, ``address``, ``buffers``, ``event``; of a group also ``set``, ``wait``,
            ``counter``, ``workspace``.
        change: What was changed, with lines of the Triton source.
    """

    what: str
    change: str
    program: Program


Edit = tuple
"""What, change, a function that makes it, and the operations of the trace that stand for its arguments."""


def mutants(program: Program, args: Sequence, grid: Sequence[int], most: int = 0) -> Iterator[Mutant]:
    """Mutants of what a launch executes: every one, or of more than ``most`` as many, drawn alike for every call."""
    launch = GridLaunch(program, grid)
    recorder = Recorder(launch.core)
    with launch.held():
        whole = launch.run(detached(args), recorder)
    traces = [own for trace in dict.fromkeys(whole) for own in by_core(trace, len(launch.cores))]
    barriers = [op for op in _executed(traces, Barrier) if op.name == BARRIER]
    source = _Source(program, barriers[0])
    edits = [
        *_without_pairs(traces),
        *(("barrier", f"without {op!r}", _erase, op) for op in barriers),
        *_moved_buffers(launch, recorder),
        *_swapped_buffers(source),
        *_other_events(traces),
        *group_edits(source.operations),
    ]
    for edit in random.Random(0).sample(edits, most) if 0 < most < len(edits) else edits:
        yield source.mutant(*edit)


class _Source:
    """A program's module, of which each mutant has a copy that is changed where an operation of the trace is."""

    def __init__(self, program: Program, any_op: Op) -> None:
        self.program, self.module = program, any_op.raw.get_toplevel_object()
        self.operations = list(map(Op, self.module.walk()))
        self._places = {op.raw: place for place, op in enumerate(self.operations)}

    def mutant(self, what: str, change: str, edit: Callable[..., None], *ops: Op) -> Mutant:
        """The program after ``edit(*operations)`` of those that stand for ``ops`` in a copy."""
        module = self.module.clone()
        copies = list(module.walk())
        edit(*(copies[self._places[op.raw]] for op in ops))
        mutated = replace(self.program, hivm=str(module))
        vars(mutated)["module"] = module  # what it would be parsed to, for a tenth of the time
        return Mutant(what, change, mutated)


def _made_by(value: SSAValue, name: str) -> bool:
    return isinstance(value.owner, Operation) and Op(value.owner).name == name


def _executed(traces: Sequence[Trace], *kinds: type) -> list[Op]:
    return list(dict.fromkeys(event.op for trace in traces for event in trace if isinstance(event, kinds)))


def _erase(*ops: Operation) -> None:
    for op in ops:
        Rewriter.erase_op(op)


def _without_pairs(traces: Sequence[Trace]) -> Iterator[Edit]:
    """A set and the wait that it answers go together, with whatever else either is paired with in a loop.

    Flags that the device library sets and waits for by itself are left alone.
    """
    group = {op: {op} for op in _executed(traces, SetFlag, WaitFlag) if _is_visible(op)}
    for trace in traces:
        waiting: dict[FlagId, deque[Op]] = defaultdict(deque)
        for event in trace:
            if not isinstance(event, SetFlag | WaitFlag) or event.op not in group:
                continue
            if isinstance(event, SetFlag):
                waiting[event.flag].append(event.op)
            else:
                joined = group[waiting[event.flag].popleft()] | group[event.op]
                group.update(dict.fromkeys(joined, joined))
    for ops in {id(ops): ops for ops in group.values()}.values():
        names = sorted({repr(op) for op in ops})
        yield ("pair", f"without {', '.join(names)}", _eraser(tuple(ops)), *ops)


def _is_visible(op: Op) -> bool:
    return op.name in FLAGS or isinstance(op, OperandOp)


def _eraser(ops: tuple[Op, ...]) -> Callable[..., None]:
    """Erase operations; of one that waits or sets because of an operand, tell it not to."""

    def erase(*copies: Operation) -> None:
        for op, copy in zip(ops, copies, strict=True):
            if not isinstance(op, OperandOp):
                _erase(copy)
                continue
            nothing = ConstantOp.from_int_and_width(NO_EVENT, 64)
            Rewriter.insert_op(nothing, InsertPoint.before(copy))
            copy.operands[op.operand] = nothing.result

    return erase


def _moved_buffers(launch: GridLaunch, recorder: Recorder) -> Iterator[Edit]:
    """A buffer's address onto that of the nearest one that lives at the same time, and a block into it."""
    casts = {
        memref.allocation: Op(value.owner)
        for translator in launch.translators
        for value, memref in translator.known.items()
        if isinstance(memref, MemRef) and _made_by(value, CAST)
    }
    for buffer, neighbour in _neighbours(recorder, casts).items():
        size = buffer.end - buffer.start
        into = neighbour.start - size + BLOCK if neighbour.start > buffer.start else neighbour.end - BLOCK
        for address in dict.fromkeys((neighbour.start, into - into % BLOCK)):
            if address == buffer.start or not 0 <= address <= len(buffer.data) - size:
                continue

            def move(cast: Operation, address: int = address) -> None:
                constant = ConstantOp.from_int_and_width(address, 64)
                Rewriter.insert_op(constant, InsertPoint.before(cast))
                cast.operands[0] = constant.result

            change = f"{casts[buffer]!r}: {buffer.name} at {address}, where {neighbour.name} is"
            yield "address", change, move, casts[buffer]


def _neighbours(recorder: Recorder, planned: Container[Allocation]) -> dict[Allocation, Allocation]:
    """For each planned buffer the nearest other one of the same memory that is alive at the same time."""
    nearest: dict[Allocation, Allocation] = {}
    for accesses in recorder.locals.values():
        places: dict[Allocation, list[int]] = defaultdict(list)
        for access in accesses:
            for region in (*access.reads, *access.writes):
                if region.allocation in planned:
                    places[region.allocation].append(access.place)
        for one, mine in places.items():
            beside = [
                other
                for other, theirs in places.items()
                if other.data is one.data
                and (other.end <= one.start or one.end <= other.start)
                and mine[0] < theirs[-1]
                and theirs[0] < mine[-1]
            ]
            if beside:
                nearest.setdefault(one, min(beside, key=lambda other: abs(other.start - one.start)))
    return nearest


def _swapped_buffers(source: _Source) -> Iterator[Edit]:
    """Two buffers that take turns, the other way round where one of them is chosen."""
    for op in source.operations:
        if op.name == SELECT and all(_made_by(choice, CAST) for choice in op.operands[1:]):
            yield "buffers", f"{op!r}: the other of two buffers", _swap, op


def _swap(select: Operation) -> None:
    condition, yes, no = select.operands
    select.operands = [condition, no, yes]


def _other_events(traces: Sequence[Trace]) -> Iterator[Edit]:
    """A flag with the event of another one between the same pipes."""
    by_pipes: dict[tuple, dict[int, Op]] = defaultdict(dict)
    flags = {
        event.op: event.flag
        for trace in traces
        for event in trace
        if isinstance(event, SetFlag | WaitFlag) and event.op.name in FLAGS
    }
    for op, flag in flags.items():
        if not op.operands:
            by_pipes[flag.source, flag.waiting].setdefault(flag.event, op)
    for op, flag in flags.items():
        change = f"{op!r}: another event"
        if not op.operands:
            between = by_pipes[flag.source, flag.waiting]
            others = [other for event, other in sorted(between.items()) if event != flag.event]
            if others:
                yield "event", change, _take_event, op, others[0]
        elif _made_by(op.operands[0], SELECT):
            yield "event", change, _take_other, op


def _take_event(flag: Operation, other: Operation) -> None:
    for fields, theirs in ((flag.properties, other.properties), (flag.attributes, other.attributes)):
        if "static_event_id" in theirs:
            fields["static_event_id"] = theirs["static_event_id"]


def _take_other(flag: Operation) -> None:
    choice = flag.operands[0].owner.clone()
    _swap(choice)
    Rewriter.insert_op(choice, InsertPoint.before(flag))
    flag.operands[0] = choice.results[0]
