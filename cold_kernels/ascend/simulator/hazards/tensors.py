"""Hazards of global memory, within one program and between the programs of a launch."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .hazard import PROGRAMS, RACE, STALE, Found
from .order import Moment
from .pairs import Pair, Side
from .recorder import Global, Turns

Order = tuple[Mapping[int, Moment], Turns]
"""When a program's instructions start, and where it waits for other programs."""

MOST_PAIRS = 200_000
"""Pairs of overlapping accesses, one of them a write, that are looked at of one launch."""


def conflicts(accesses: Sequence[Global], orders: Sequence[Order], found: Found) -> None:
    """Report pairs of accesses to the same bytes, at least one of them a write, that nothing orders.

    Args:
        accesses: Of all programs, each program's in the order of its trace.
        orders: By program.
    """
    twins = _twins(accesses)
    for first, second in _overlapping(_shared(accesses), found):
        if first.program == second.program:
            if not _has_twin(first, second, twins):
                _within(first, second, orders[first.program][0], found)
        else:
            _between(first, second, orders, found)


def _key(access: Global) -> tuple:
    region = access.region
    place = id(region.allocation.data), region.start, region.run, region.shape, region.strides
    return access.program, access.op.raw, place, access.content


def _twins(accesses: Sequence[Global]) -> dict[tuple, set[int]]:
    """For each write of a vector core of a group, by what it is and what it leaves, the cores that do the same.

    Where the compiler does not split its work, both vector cores do all of it.
    """
    cores: dict[tuple, set[int]] = {}
    for access in accesses:
        if access.writes and access.core and not access.atomic:
            cores.setdefault(_key(access), set()).add(access.core)
    return cores


def _has_twin(first: Global, second: Global, twins: Mapping[tuple, set[int]]) -> bool:
    """Whether one of two vector cores has itself written what the other one writes, so that it does not matter who
    came last."""
    if first.core == second.core or not (first.core and second.core):
        return False
    return any(
        one.writes and other.core in twins.get(_key(one), ()) for one, other in ((first, second), (second, first))
    )


def _within(first: Global, second: Global, moments: Mapping[int, Moment], found: Found) -> None:
    if second.place < first.place:
        first, second = second, first
    then, now = moments[first.place], moments[second.place]
    starts_behind = then.pipe == now.pipe and not first.writes  # and has read by then
    if first.place != second.place and not starts_behind and not now.after(then):
        message = f"{second.op!r} touches bytes of {_name(second)} that {first.op!r} may still be "
        message += "writing" if first.writes else "reading"
        found.add(RACE, message, second.op, first.op, program=second.program, pair=_pair(first, second))
    elif first.writes and not first.scalar and second.scalar and not second.writes:
        _stale(first, second, found)


def _between(first: Global, second: Global, orders: Sequence[Order], found: Found) -> None:
    if first.program > second.program:
        first, second = second, first
    for written, read in ((first, second), (second, first)):
        if written.writes and not written.scalar and read.scalar and not read.writes:
            _stale(written, read, found)
            return
    if _in_turn(first, second, orders) or _met(first, second, orders) or _met(second, first, orders):
        return
    earlier, later = sorted((first, second), key=lambda access: access.number)
    plain = not (first.atomic or second.atomic)  # else what came before counts
    if first.writes and second.writes and plain and not _changes(later, earlier):
        found.same(_pair(first, second))  # equal bytes, whoever comes last
        return
    doing = ("reads", "writes")
    found.add(
        PROGRAMS,
        f"{second.op!r} of program {second.program} {doing[second.writes]} bytes of {_name(second)} that {first.op!r} "
        f"of program {first.program} {doing[first.writes]}, and nothing orders the two",
        second.op,
        first.op,
        program=second.program,
        pair=_pair(first, second),
    )


def _changes(later: Global, other: Global) -> bool:
    """Whether a write changes a byte that another has written."""
    if later.same or later.changed is None:
        return not later.same
    starts, run = later.region.starts(), later.region.run
    bits = np.unpackbits(later.changed, count=len(starts) * run).view(np.bool_).reshape(len(starts), run)
    places = (starts[:, None] + np.arange(run))[bits] + later.region.allocation.data.ctypes.data
    written = np.sort(other.region.starts()) + other.region.allocation.data.ctypes.data
    before = np.searchsorted(written, places, "right") - 1
    return bool(np.any((before >= 0) & (places < written[np.maximum(before, 0)] + other.region.run)))


def _stale(written: Global, read: Global, found: Found) -> None:
    found.add(
        STALE,
        f"{read.op!r} reads by the scalar unit bytes of {_name(read)} that {written.op!r} of program {written.program} "
        "writes by a copy in the same launch; the scalar unit's cache does not see it",
        read.op,
        written.op,
        program=read.program,
        pair=_pair(written, read),
    )


def _in_turn(first: Global, second: Global, orders: Sequence[Order]) -> bool:
    """Whether a lock lies between them: programs pass it in the order of the grid, and leave it with pipes drained."""
    mine, theirs = orders[first.program][1], orders[second.program][1]
    return any(
        place > first.place and theirs.entered.get(lock, second.place) < second.place
        for lock, place in mine.left.items()
    )


def _met(first: Global, second: Global, orders: Sequence[Order]) -> bool:
    """Whether the first is complete when its program comes to a barrier of all cores that the second lies behind."""
    (moments, mine), (_, theirs) = orders[first.program], orders[second.program]
    return any(
        moments[place].after(moments[first.place]) and theirs.met.get(meeting, second.place) < second.place
        for meeting, place in mine.arrived.items()
    )


def _pair(one: Global, other: Global) -> Pair:
    """Two accesses, in the order in which they were made."""
    return Pair(
        *(
            Side(access.program, access.place, access.op, access.region, access.writes, access.atomic)
            for access in sorted((one, other), key=lambda access: access.number)
        )
    )


def _name(access: Global) -> str:
    return access.region.allocation.name


def _shared(accesses: Sequence[Global]) -> list[Global]:
    """Those to memory that is written at all."""
    written = {id(access.region.allocation.data) for access in accesses if access.writes}
    return [access for access in accesses if id(access.region.allocation.data) in written]


def _overlapping(accesses: list[Global], found: Found) -> Iterator[tuple[Global, Global]]:
    """Pairs of accesses that share a byte, at least one of them a write and not both of them atomic; some more than
    once. ``found`` is told if they are too many."""
    if not accesses:
        return
    regions = [access.region for access in accesses]
    memories = {id(region.allocation.data): region.allocation.data for region in regions}
    bases = {name: data.ctypes.data for name, data in memories.items()}  # two arguments may be views of one tensor
    runs = np.array([math.prod(region.shape) for region in regions])
    owner = np.repeat(np.arange(len(accesses)), runs)
    start = np.repeat(np.array([region.start + bases[id(region.allocation.data)] for region in regions]), runs)
    first = np.cumsum(runs) - runs
    for number, region in enumerate(regions):
        if region.shape:
            start[first[number] : first[number] + runs[number]] += region.starts() - region.start
    end = start + np.array([region.run for region in regions])[owner]
    order = np.argsort(start, kind="stable")
    start, end, owner = start[order], end[order], owner[order]
    reach = np.maximum.accumulate(end)
    broken = np.flatnonzero(np.r_[True, start[1:] >= reach[:-1], True])  # no interval spans these places
    writes = np.array([access.writes for access in accesses])[owner]
    atomic = np.array([access.atomic for access in accesses])[owner]
    several = np.diff(broken) > 1
    pairs = 0
    for low, high in zip(broken[:-1][several], broken[1:][several], strict=True):
        group = slice(low, high)
        if atomic[group].all():
            continue
        for here in low + np.flatnonzero(writes[group]):
            meeting = (start[group] < end[here]) & (end[group] > start[here]) & ~(atomic[group] & atomic[here])
            for there in low + np.flatnonzero(meeting):
                if owner[there] == owner[here] or (writes[there] and there < here):
                    continue  # itself, or a pair that has come already
                pairs += 1
                yield accesses[owner[here]], accesses[owner[there]]
                if pairs == MOST_PAIRS:
                    found.complete = False
                    return
