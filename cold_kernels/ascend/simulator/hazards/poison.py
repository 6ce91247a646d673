"""Other bytes than those that an instruction would see: a result that changes with them depends on them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from ..core.memory import Allocation, MemRef
from ..core.operations import Op
from ..core.regions import Region
from ..execute.translate import OperationObserver
from ..trace.events import Trace
from .buffer import Unwritten
from .pairs import addresses

PATTERNS = (0xFF, 0x3C)
"""NaN in every float type and -1 in every integer; small finite numbers."""

WAYS = tuple(product(PATTERNS, (False, True)))
"""Patterns, and whether to put them apart."""


class Spoil(NamedTuple):
    """Bytes that an instruction of a program sees otherwise, or, if ``behind``, leaves otherwise.

    Args:
        where: Places of ``region`` among its `addresses`, as booleans.
        content: One byte for all of them, or one for each.
    """

    program: int
    place: int
    op: Op
    region: Region
    where: np.ndarray
    content: int | np.ndarray
    behind: bool = False


def spoilt(reads: Iterable[Iterable[Unwritten]], pattern: int) -> list[Spoil]:
    """A pattern at reads of what was not written, which are given by program."""
    return [
        Spoil(program, read.access.place, read.access.op, read.region, read.mask.reshape(-1), pattern)
        for program, own in enumerate(reads)
        for read in own
    ]


class Diverged(Exception):
    """A program does not do what it did before."""


class Poisoner:
    """Observes a core: gives instructions other bytes, each for itself alone, and leaves other bytes behind them.

    Raises `Diverged` where a program then goes another way.

    Args:
        core: Observed.
        spoils: Which bytes.
        traces: What the programs do without them.
        apart: Put them into a copy of the memory that is read, so that another operand in the same place stays what
            it is. Loops of scalar work, which may read what they have written, do not look there.
        watch: Runs each step, with the bytes that it is given and before others are left behind it.
    """

    def __init__(
        self,
        core,
        spoils: Iterable[Spoil],
        traces: Sequence[Trace],
        apart: bool = False,
        watch: OperationObserver | None = None,
    ) -> None:
        self.core, self.traces, self.apart, self.watch = core, traces, apart, watch
        self.spoils: defaultdict[tuple[int, int, Op], list[Spoil]] = defaultdict(list)
        for spoil in spoils:
            self.spoils[spoil.program, spoil.place, spoil.op].append(spoil)

    def __call__(self, op, touches, step, env: list) -> None:
        if self.watch is not None and touches:
            step = partial(self.watch, op, touches, step)
        written = touches(env).writes if touches else ()
        place = len(self.core.trace)
        spoils = self.spoils.get((self.core.block, place, op), ()) if touches else ()
        before = [spoil for spoil in spoils if not spoil.behind]
        if not before:
            step(env)
        elif self.apart and op.name.startswith("hivm."):
            self._with_copies(before, written, step, env)
        else:
            self._in_place(before, written, step, env)
        for spoil in spoils:
            if spoil.behind:
                spoil.region.allocation.data[addresses(spoil.region)[spoil.where]] = spoil.content
        if touches:
            known, now = self.traces[self.core.block], len(self.core.trace)
            if tuple(self.core.trace[place:now]) != known[place:now]:
                raise Diverged(repr(op))

    def _with_copies(self, spoils: Sequence[Spoil], written: Sequence[Region], step, env: list) -> None:
        copies: dict[Allocation, Allocation] = {}
        for spoil in spoils:
            own = spoil.region.allocation
            if own not in copies:
                copies[own] = Allocation(own.name, own.data.copy(), own.start, own.end, own.local)
            copies[own].data[addresses(spoil.region)[spoil.where]] = spoil.content
        seen = list(env)
        for slot, ref in enumerate(env):
            if isinstance(ref, MemRef) and ref.allocation in copies:
                seen[slot] = MemRef(copies[ref.allocation], ref.offset, ref.shape, ref.strides, ref.dtype)
        given = list(seen)
        step(seen)
        for region in written:
            if region.allocation in copies:  # in place
                region.of(region.allocation.data)[...] = region.of(copies[region.allocation].data)
        for slot, (value, before) in enumerate(zip(seen, given, strict=True)):
            if value is not before:
                env[slot] = value

    def _in_place(self, spoils: Sequence[Spoil], written: Sequence[Region], step, env: list) -> None:
        kept = []
        for spoil in spoils:
            memory, places = spoil.region.allocation.data, addresses(spoil.region)[spoil.where]
            kept.append((memory, places, memory[places]))
            memory[places] = spoil.content
        step(env)
        for memory, places, before in reversed(kept):
            left = _outside(places, [region for region in written if region.allocation.data is memory])
            memory[places[left]] = before[left]


def _outside(places: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Which places no region has."""
    left = np.ones(len(places), np.bool_)
    for region in regions:
        if not region.shape:
            left &= (places < region.start) | (places >= region.end)
        else:
            left &= ~np.isin(places, addresses(region))
    return left
