"""What the programs of a launch touch, in the order of their traces."""

import itertools
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from ..core.effects import Effects
from ..core.memory import MOST_KEPT
from ..core.operations import Op
from ..core.regions import Region
from ..core.spaces import Workspace
from ..trace.events import Arrive, Lock, Meet, Trace, Unlock
from .undo import Undo


class Local(NamedTuple):
    """An instruction's reads and writes of its core's memories, and of the workspace; ``place`` is its event's in the
    trace."""

    place: int
    op: Op
    reads: tuple[Region, ...]
    writes: tuple[Region, ...]


class Global(NamedTuple):
    """One region of a tensor that an instruction of a program reads or writes.

    In a group ``core`` says which core does it, and ``content`` what a write leaves there, as a hash. ``scalar`` says
    that the scalar unit does it, and a read through its cache.
    """

    program: int
    place: int
    op: Op
    region: Region
    writes: bool
    atomic: bool
    scalar: bool
    same: bool = False
    """Whether a write leaves all of its bytes as they were."""
    changed: np.ndarray | None = None
    """Of a write that leaves some as they were, which it changes: bits in the order of the region's bytes."""
    number: int = 0
    """The order in which accesses of all programs were made."""
    core: int = 0
    content: int = 0


_numbers = itertools.count()


def is_own(region: Region) -> bool:
    """Whether what is there means nothing before a program and after it: a core's memory, or the workspace."""
    return region.allocation.local or isinstance(region.allocation, Workspace)


class Recorder:
    """Observes a core while it runs a launch: runs every step, and keeps what it touched.

    Args:
        core: Whose trace events are appended to.
    """

    def __init__(self, core) -> None:
        self.core = core
        self.globals: list[Global] = []
        self.undo = Undo()
        self.locals: defaultdict[int, list[Local]] = defaultdict(list)
        self._same: dict[tuple, tuple[Region, ...]] = {}
        self._own: dict[int, tuple[Effects, tuple[Region, ...], tuple[Region, ...]]] = {}
        """Of effects on the core's memories alone, by identity, the regions as they are recorded."""
        self._cached: dict[Op, bool] = {}

    def __call__(self, op: Op, touches, step, env: list) -> None:
        if touches is None:
            step(env)
            return
        place = len(self.core.trace)
        touched = touches(env)
        own = self._own.get(id(touched))
        if own is not None:
            step(env)
            if len(self.core.trace) > place:
                self.locals[self.core.block].append(Local(place, op, own[1], own[2]))
            return
        kept = self.undo.keep(touched.writes)
        step(env)
        if len(self.core.trace) > place:
            self._keep(place, op, touched, self.undo.changes(kept))

    def _keep(self, place: int, op: Op, touched: Effects, changes: list[np.ndarray]) -> None:
        scalar, group = not op.name.startswith("hivm."), self.core.group
        local: list[tuple[Region, ...]] = []
        for writes, regions in enumerate((touched.reads, touched.writes)):
            local.append(self._interned(tuple(region for region in regions if is_own(region))))
            for region in regions:
                if not region.allocation.local:
                    changed = changes.pop(0) if writes and changes else None
                    count = -1 if changed is None else np.count_nonzero(changed)
                    same, some = count == 0, changed is not None and 0 < count < changed.size
                    by_cache = scalar and (bool(writes) or self._reads_by_cache(op))
                    kind = bool(writes), touched.atomic, by_cache, same, np.packbits(changed) if some else None
                    access = Global(self.core.block, place, op, region, *kind, next(_numbers))
                    if group is not None:
                        content = hash(region.of(region.allocation.data).tobytes()) if writes else 0
                        access = access._replace(core=group.turn, content=content)
                    self.globals.append(access)
        if any(local):
            if all(region.allocation.local for regions in touched[:2] for region in regions):
                if len(self._own) >= MOST_KEPT:
                    self._own.clear()
                self._own[id(touched)] = touched, *local
            self.locals[self.core.block].append(Local(place, op, *local))

    def _reads_by_cache(self, op: Op) -> bool:
        """Whether some load of a scalar operation goes through the scalar unit's cache. The compiler marks those of
        what the function writes to pass it by (HIVM/Transforms/MarkDisableLoad.cpp)."""
        if op not in self._cached:
            loads = [inner for inner in map(Op, op.raw.walk()) if inner.name == "memref.load"]
            self._cached[op] = any(load.attribute("disableDCache") is None for load in loads)
        return self._cached[op]

    def _interned(self, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        """One tuple for equal regions, so that equal programs have equal records."""
        key = tuple((id(r.allocation), r.start, r.run, r.shape, r.strides) for r in regions)
        return self._same.setdefault(key, regions)


class Turns(NamedTuple):
    """Where in its trace a program waits for others.

    Args:
        entered, left: Locks, and where it takes and passes them on.
        arrived, met: By number and how often before, where it comes to a barrier of all cores and where it goes on.
    """

    entered: dict[int, int]
    left: dict[int, int]
    arrived: dict[tuple[int, int], int]
    met: dict[tuple[int, int], int]


def turns(trace: Trace) -> Turns:
    """Where a trace's program waits for others."""
    found, times = Turns({}, {}, {}, {}), Counter()
    for place, event in enumerate(trace):
        kind = type(event)
        if kind in (Lock, Unlock):
            (found.entered if kind is Lock else found.left)[event.address] = place
        elif kind in (Arrive, Meet):
            (found.arrived if kind is Arrive else found.met)[event.number, times[kind, event.number]] = place
            times[kind, event.number] += 1
    return found
