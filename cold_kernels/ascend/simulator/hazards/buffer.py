"""Hazards of a core's own memories, within one program."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..core.regions import Region
from .hazard import RACE, Found
from .order import Moment
from .pairs import Pair, Side
from .recorder import Local

NO_OWNER = -1
MANY = 64
"""Pending accesses of a pipe from which on it is worth to look for those that nobody has to wait for any more."""


def races(
    accesses: Sequence[Local], moments: Mapping[int, Moment], found: Found, program: int, pipes: Mapping[int, str]
) -> None:
    """Report pairs of instructions of one core that touch the same bytes of its memories in no certain order.

    ``pipes`` are the core's pipes, by their numbers.
    """
    pending: dict[int, list[tuple[Local, Moment]]] = {pipe: [] for pipe in pipes}
    places: dict[int, list[int]] = {pipe: [] for pipe in pipes}
    """Of each pipe's pending accesses, the indices, which rise."""
    reached = {pipe: (0,) * (max(pipes) + 1) for pipe in pipes}
    for access in accesses:
        moment = moments[access.place]
        if moment.pipe not in pipes:
            continue
        for pipe, others in pending.items():
            if others:
                for other, theirs in others[bisect_left(places[pipe], moment.complete[pipe]) :]:
                    _compare(other, theirs, access, moment, found, program, pipes)
        pending[moment.pipe].append((access, moment))
        places[moment.pipe].append(moment.index)
        reached[moment.pipe] = moment.complete
        for pipe, others in pending.items():
            if len(others) >= MANY:
                retired = bisect_left(places[pipe], min(known[pipe] for known in reached.values()))
                del others[:retired], places[pipe][:retired]


def _compare(
    first: Local, then: Moment, second: Local, now: Moment, found: Found, program: int, pipes: Mapping[int, str]
) -> None:
    pairs = [(second.reads, "read", first.writes, "writing"), (second.writes, "written", first.writes, "writing")]
    if then.pipe != now.pipe:  # one pipe starts in order: what started first has read before what follows writes
        pairs.append((second.writes, "written", first.reads, "reading"))
    for mine, done, theirs, doing in pairs:
        for region in mine:
            for other in theirs:
                if region.allocation.local and region.meets(other):
                    memory = region.allocation.name.partition(" of ")[2] or "the buffer"
                    low, high = max(region.start, other.start), min(region.end, other.end)
                    found.add(
                        RACE,
                        f"{second.op!r} ({pipes[now.pipe]}): bytes {low} to {high - 1} of {memory} are {done} "
                        f"while {first.op!r} ({pipes[then.pipe]}) may still be {doing} them",
                        second.op,
                        first.op,
                        program=program,
                        pair=Pair(
                            Side(program, first.place, first.op, other, theirs is first.writes),
                            Side(program, second.place, second.op, region, mine is second.writes),
                        ),
                    )


class Unwritten(NamedTuple):
    """A read of bytes that were never written, or last through another buffer; ``mask`` has an item for each byte."""

    access: Local
    region: Region
    mask: np.ndarray


def unwritten(accesses: Sequence[Local]) -> list[Unwritten]:
    """Reads of what was not written, in order.

    The planner gives the bytes of a buffer whose life is over to another one; whoever still reads the first one reads
    what was never meant for it.
    """
    owners: dict[int, np.ndarray] = {}
    names: dict[int, int] = {}
    reads = []
    for access in accesses:
        for region in access.reads:
            mask = region.of(_owner(owners, region)) != names.setdefault(id(region.allocation), len(names))
            if np.count_nonzero(mask):
                reads.append(Unwritten(access, region, mask))
        for region in access.writes:
            region.of(_owner(owners, region))[...] = names.setdefault(id(region.allocation), len(names))
    return reads


def _owner(owners: dict[int, np.ndarray], region: Region) -> np.ndarray:
    """For each byte of the memory that a region lies in, the number of the buffer that was last written there."""
    memory = region.allocation.data
    if id(memory) not in owners:
        owners[id(memory)] = np.full(len(memory), NO_OWNER, np.int32)
    return owners[id(memory)]
