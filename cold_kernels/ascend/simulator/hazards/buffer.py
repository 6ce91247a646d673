"""Hazards of the unified buffer, within one program."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...chips import UB_BYTES
from ..core.regions import Region
from ..trace.work import PIPES
from .hazard import RACE, Found
from .order import Moment
from .recorder import Local

NO_OWNER = -1


def races(accesses: Sequence[Local], moments: Mapping[int, Moment], found: Found, program: int) -> None:
    """Report pairs of instructions that touch the same bytes in no certain order."""
    pending: list[deque] = [deque() for _ in PIPES]
    reached = [[0] * len(PIPES) for _ in PIPES]
    for access in accesses:
        moment = moments[access.place]
        for pipe, others in enumerate(pending):
            complete = moment.complete[pipe]
            for other, theirs in others:
                if theirs.index >= complete:
                    _compare(other, theirs, access, moment, found, program)
        pending[moment.pipe].append((access, moment))
        reached[moment.pipe] = moment.complete
        for pipe, others in enumerate(pending):
            retired = min(known[pipe] for known in reached)
            while others and others[0][1].index < retired:
                others.popleft()


def _compare(first: Local, then: Moment, second: Local, now: Moment, found: Found, program: int) -> None:
    pairs = [(second.reads, "read", first.writes, "writing"), (second.writes, "written", first.writes, "writing")]
    if then.pipe != now.pipe:  # one pipe starts in order: what started first has read before what follows writes
        pairs.append((second.writes, "written", first.reads, "reading"))
    for mine, done, theirs, doing in pairs:
        for region in mine:
            for other in theirs:
                if region.meets(other):
                    low, high = max(region.start, other.start), min(region.end, other.end)
                    found.add(
                        RACE,
                        f"{second.op!r} ({PIPES[now.pipe]}): bytes {low} to {high - 1} of the buffer are {done} "
                        f"while {first.op!r} ({PIPES[then.pipe]}) may still be {doing} them",
                        second.op,
                        first.op,
                        program=program,
                    )
                    return


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
    owner = np.full(UB_BYTES, NO_OWNER, np.int32)
    names: dict[int, int] = {}
    reads = []
    for access in accesses:
        for region in access.reads:
            mask = region.of(owner) != names.setdefault(id(region.allocation), len(names))
            if mask.any():
                reads.append(Unwritten(access, region, mask))
        for region in access.writes:
            region.of(owner)[...] = names.setdefault(id(region.allocation), len(names))
    return reads
