"""Copies that a mask makes useless and does not stop: both sides of a select loaded, tiles filled before their load."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from xdsl.ir import Block, Operation, SSAValue

from ..simulator.core.operations import Op, is_memref
from ..simulator.profile.price import saved
from ..simulator.trace.events import Event, Issue, SetFlag, WaitFlag
from .codes import MASKED_BRANCHES
from .finding import Finding, events, place_of
from .launch import ProfiledLaunch
from .values import buffers, users, writes

LOADS, FILL, SELECT = "hivm.hir.load", "hivm.hir.vbrc", "hivm.hir.vsel"
CARRIES = ("hivm.hir.vcast", "hivm.hir.copy", SELECT)
"""What may stand between a load and the select: a conversion, a copy, the select of a masked load."""
MOST_LOADS = 0.5
"""Share of a load's tiles that are filled before it: the last tile of a size that tiles do not divide always is."""
LEAST = 0.05
"""Share of the launch's cycles from which on a fill is named."""


def masked_branches(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line of such selects, and for each line of fills."""
    happened = list(events(launch))
    issued = {event.op: event for event in happened if isinstance(event, Issue) and event.op}
    yield from _both_sides(launch, list(issued))
    yield from _fills(launch, happened, list(issued))


def _both_sides(launch: ProfiledLaunch, ops: list[Op]) -> Iterator[Finding]:
    """The price is that of the side that costs less: at most one of the two is needed."""
    lines: dict[str, list[tuple[set[Operation], ...]]] = defaultdict(list)
    for op in ops:
        if op.name != SELECT:
            continue
        (_, *choices), _, _ = op.groups()
        sides = [_chain(choice, op) for choice in choices]
        if len(sides) == 2 and all(sides):
            lines[place_of(op, launch)].append(tuple(sides))
    for place, found in lines.items():
        prices = []
        for side in range(2):
            dropped = set().union(*(sides[side] for sides in found))
            prices.append(saved(launch.simulation, lambda event, dropped=dropped: _unless(event, dropped)))
        yield Finding(
            MASKED_BRANCHES,
            launch.function,
            place,
            "both sides of the select are loaded in full, whatever the mask says",
            "where the mask is the same for a whole tile, branch on a number: if flag: x = tl.load(a) else: x = "
            "tl.load(b); a mask of single elements keeps both loads, but one tensor for both sides needs only one",
            min(prices),
        )


def _unless(event: Event, dropped: set[Operation]) -> Event | None:
    return None if isinstance(event, Issue) and event.op and event.op.raw in dropped else event


def _chain(value: SSAValue, reader: Op) -> set[Operation]:
    """The loads that a side of a select comes from, with what stands between; empty if it comes from anything else, or
    if somebody else reads it."""
    planned = buffers(value) if is_memref(value) else None
    if not planned:
        return set()
    touched = list(users(planned))
    if any(not writes(op, place) and op.raw is not reader.raw for op, place in touched):
        return set()
    by_raw = {op.raw: op for op, place in touched if writes(op, place)}
    writers = [op for op in by_raw.values() if not is_fill(op)]
    if writers and all(op.name == LOADS for op in writers):
        return {op.raw for op in writers}
    if len(writers) != 1 or writers[0].name not in CARRIES:
        return set()
    (carrier,) = writers
    sources = carrier.operands[:1] if carrier.name == "hivm.hir.copy" else carrier.groups()[0]
    if carrier.name == SELECT:
        sources = [choice for choice in sources[1:] if is_memref(choice)]
    before = _chain(sources[0], carrier) if len(sources) == 1 else set()
    return before | {carrier.raw} if before else set()


def is_fill(op: Op) -> bool:
    """Whether an operation fills a buffer with a number."""
    return op.name == FILL and not is_memref(op.operands[0])


def _fills(launch: ProfiledLaunch, happened: list[Event], ops: list[Op]) -> Iterator[Finding]:
    """The price is that of the fills and of the flags that the load waits for because of them."""
    times = _times(launch)
    lines: dict[str, set[Operation]] = defaultdict(set)
    for op in ops:
        if is_fill(op) and times[op] > MOST_LOADS * sum(times[load] for load in ops if load.raw in _loaded(op)) > 0:
            lines[place_of(op, launch)].add(op.raw)
    for place, fills in lines.items():
        dropped = {event for event in happened if isinstance(event, Issue) and event.op and event.op.raw in fills}
        blocks = {fill.parent for fill in fills}
        if all(_is_branch(block) for block in blocks):
            flags = [e for e in happened if isinstance(e, (SetFlag, WaitFlag)) and e.op and e.op.raw.parent in blocks]
            up, passed = ({e.flag for e in flags if isinstance(e, kind)} for kind in (SetFlag, WaitFlag))
            dropped |= {event for event in flags if event.flag in up & passed}
        cycles = saved(launch.simulation, lambda event, dropped=dropped: None if event in dropped else event)
        if cycles >= LEAST * launch.simulation.cycles:
            yield Finding(
                MASKED_BRANCHES,
                launch.function,
                place,
                "most tiles are filled with `other` before their masked load, which waits for that",
                "let tiles divide the size, or treat the last one apart; without other= nothing is filled where nobody "
                "reads what is masked",
                cycles,
            )


def _times(launch: ProfiledLaunch) -> Counter[Op]:
    """How often all programs together issue each operation."""
    execution = launch.simulation.execution
    programs = Counter(execution.programs)
    times: Counter[Op] = Counter()
    for number, trace in enumerate(execution.traces):
        for event in trace:
            if isinstance(event, Issue) and event.op:
                times[event.op] += programs[number]
    return times


def _loaded(fill: Op) -> set[Operation]:
    """The loads into the buffers that an operation fills."""
    touched = users(buffers(fill.operands[1]) or set())
    return {op.raw for op, place in touched if op.name == LOADS and writes(op, place)}


def _is_branch(block: Block) -> bool:
    above = block.parent_op()
    return above is not None and Op(above).name == "scf.if"
