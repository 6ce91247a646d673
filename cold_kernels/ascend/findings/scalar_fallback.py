"""Work that the scalar unit does element by element: the library's fallbacks, and loops that the compiler made."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache

from xdsl.ir import Operation

from ..errors import Deadlock
from ..simulator.core.operations import Op
from ..simulator.profile.price import saved, without_scalar_unit
from ..simulator.trace import fallbacks
from ..simulator.trace.events import Barrier, Event, Issue, ScalarWork, SetFlag, WaitFlag
from ..simulator.trace.work import LOAD, STORE, Work
from .blame import EXTRACTED, NARROW, Blame, blame, takes_elements
from .codes import SCALAR_FALLBACK
from .finding import Finding, events, place_of
from .launch import ProfiledLaunch
from .short_copies import SHORT

FEW = 4
"""Scalar accesses of an operation that hands a number or two to the scalar unit, and falls back on nothing."""
ORDER = (SetFlag, WaitFlag, Barrier)
LOOPS = ("scf.for", "scf.while")
ALIGNED = (
    "make the last axis contiguous and its rows whole 32-byte blocks: a tile padded to 8 fp32 or 16 fp16, loaded with "
    "a mask"
)
FLOATS = "reduce fp16 or fp32: no other type is reduced across a row; fp32 has integers below 2**24 exactly"
WHY = {
    fallbacks.INT64: ("the vector unit has no instruction for int64", NARROW),
    fallbacks.TYPE: ("the vector unit has no instruction for this type", "cast to fp32, fp16, int32 or int16 first"),
    fallbacks.STRIDED: ("the elements of a row are not beside each other", ALIGNED),
    fallbacks.UNALIGNED_ROWS: ("its rows are no multiple of 32 bytes apart", ALIGNED),
    fallbacks.UNALIGNED_START: ("an operand does not start at a multiple of 32 bytes", ALIGNED),
    fallbacks.ORDER: ("the library has no instruction for this order of elements", "store in the order of the load"),
    fallbacks.SIZE: ("the library has no instruction for this size", "use powers of two from a 32-byte block on"),
}
"""For each reason of an operation: in a sentence, and what would help."""


def scalar_fallback(launch: ProfiledLaunch) -> Iterator[Finding]:
    """A finding for each line; its price is the scalar unit's share of the operations there."""
    happened = list(events(launch))
    loop_of = _loops(happened)
    lines: dict[str, dict[Event, Blame]] = defaultdict(dict)
    for event in happened:
        found = _blamed(event, loop_of)
        if found:
            lines[place_of(found.op, launch)][event] = found
    for place, found in lines.items():
        reasons = dict.fromkeys(one.reason for one in found.values())
        helps = dict.fromkeys(one.help for one in found.values())
        yield Finding(
            SCALAR_FALLBACK,
            launch.function,
            place,
            "; ".join(reasons),
            "; ".join(helps),
            _price(launch, found),
        )


def _price(launch: ProfiledLaunch, found: dict[Event, Blame]) -> float:
    """Without the scalar unit's part, and without the flags and barriers of loops that are left out."""
    ordered = {event for event in found if isinstance(event, ORDER)}
    try:
        return saved(launch.simulation, lambda event: _without(event) if event in found else event)
    except Deadlock:  # a flag goes into the loop and none comes out: its order stays
        return saved(launch.simulation, lambda event: _without(event) if event in found.keys() - ordered else event)


def _without(event: Event) -> Event | None:
    return without_scalar_unit(event) if isinstance(event, Issue) else None


def _blamed(event: Event, loop_of: Callable[[Operation], Op | None]) -> Blame | None:
    if isinstance(event, ScalarWork):
        loops = {loop.raw if loop else None: loop for loop in (loop_of(op.raw) for op, _ in event.by_op)}
        return blame(*loops.values()) if len(loops) == 1 and None not in loops else None
    if event.op is None:
        return None
    if loop := loop_of(event.op.raw):
        return blame(loop)
    if isinstance(event, Issue) and (event.work.fallback or _by_elements(event.work)):
        return _of_library(event.op, event.work)
    return None


def _by_elements(work: Work) -> bool:
    """Whether the scalar unit is kept waiting, and does more than to fetch a result."""
    accesses = sum(times for name, times in work.counts if name in ("scalar_local", "scalar_global"))
    return work.blocks and accesses > FEW


def _of_library(op: Op, work: Work) -> Blame:
    name = op.name.removeprefix("hivm.hir.")
    why, help = "the library has no vector form of it for this type and layout", ALIGNED
    if work.fallback:
        why, help = WHY.get(work.fallback, (work.fallback, ALIGNED))
    elif work.pipe in (LOAD, STORE):
        why = "rows that are no whole 32-byte blocks, or elements that stand apart"
    reduces = name == "vreduce" and work.fallback not in (fallbacks.STRIDED, fallbacks.UNALIGNED_ROWS)
    return Blame(op, f"{name}: {why}", FLOATS if reduces else help)


def _loops(happened: list[Event]) -> Callable[[Operation], Op | None]:
    """For an operation the loop over single elements that it is or stands in, the outermost one; None if there is none.

    A loop that copies rows, one for each index, is none: it copies as many bytes at once as a row has.
    """
    copied: dict[Operation, int] = {}
    for event in happened:
        if isinstance(event, Issue) and event.op and event.work.pipe in (LOAD, STORE):
            raw = event.op.raw
            while raw is not None:
                copied[raw] = max(copied.get(raw, 0), event.work.global_bytes)
                raw = raw.parent_op()

    @cache
    def elements(raw: Operation) -> bool:
        loop = Op(raw)
        if loop.name not in LOOPS or not takes_elements(loop):
            return False
        return EXTRACTED in raw.attributes and copied[raw] < SHORT if raw in copied else _alone(raw)

    @cache
    def loop_of(raw: Operation | None) -> Op | None:
        if raw is None:
            return None
        above = loop_of(raw.parent_op())
        return above or (Op(raw) if elements(raw) else None)

    return loop_of


def _alone(loop: Operation) -> bool:
    """Whether no pipe but the scalar unit works in a loop."""
    silent = ("hivm.hir.pointer_cast", "hivm.hir.bitcast")
    return not any(op.name.startswith("hivm.") and op.name not in silent for op in map(Op, loop.walk()))
