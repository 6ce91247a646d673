"""Other bytes where nothing was written: a result that changes with them depends on them."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..core.memory import Allocation, MemRef
from .buffer import Unwritten
from .undo import Undo

WAYS = tuple(product((0xFF, 0x3C), (False, True)))
"""Patterns (NaN in every float type and -1; small finite numbers), and whether to put them apart."""


class Poisoner:
    """Observes a core: at the given reads, puts a pattern where nothing was written, for that instruction alone.

    Args:
        core: Observed.
        reads: Of each program.
        pattern: A byte.
        apart: Put it into a copy of the memory that was read, so that another operand in the same place stays what it
            is. Loops of scalar work do not look there.
    """

    def __init__(self, core, reads: Sequence[Sequence[Unwritten]], pattern: int, apart: bool) -> None:
        self.core, self.pattern, self.apart, self.undo = core, pattern, apart, Undo()
        self.reads: dict[tuple[int, int], list[Unwritten]] = {}
        for program, own in enumerate(reads):
            for read in own:
                self.reads.setdefault((program, read.access.place), []).append(read)

    def __call__(self, op, touches, step, env: list) -> None:
        written = touches(env).writes if touches else ()
        self.undo.keep(written)
        reads = self.reads.get((self.core.block, len(self.core.trace)), ()) if touches else ()
        if not reads:
            step(env)
        elif self.apart:
            self._with_copies(reads, step, env)
        else:
            self._in_place(reads, written, step, env)

    def _with_copies(self, reads: Sequence[Unwritten], step, env: list) -> None:
        seen, copies = list(env), []
        for read in reads:
            own = read.region.allocation
            memory = own.data.copy()
            read.region.of(memory)[read.mask] = self.pattern
            copy = Allocation(own.name, memory, own.start, own.end, own.local)
            copies.append((own.data, memory, memory.copy()))
            for slot, ref in enumerate(env):
                if isinstance(ref, MemRef) and ref.allocation is own:
                    seen[slot] = MemRef(copy, ref.offset, ref.shape, ref.strides, ref.dtype)
        given = list(seen)
        step(seen)
        for data, memory, before in copies:  # what was written there, by a loop that reads what it has written
            changed = memory != before
            data[changed] = memory[changed]
        for slot, (value, before) in enumerate(zip(seen, given, strict=True)):
            if value is not before:
                env[slot] = value

    def _in_place(self, reads: Sequence[Unwritten], written: Sequence, step, env: list) -> None:
        spoilt: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for read in reads:
            memory = read.region.allocation.data
            if id(memory) not in spoilt:
                spoilt[id(memory)] = memory, memory.copy(), np.zeros(len(memory), np.bool_)
            read.region.of(spoilt[id(memory)][2])[read.mask] = True
        for memory, _, places in spoilt.values():
            memory[places] = self.pattern
        step(env)
        for region in written:
            if id(region.allocation.data) in spoilt:
                region.of(spoilt[id(region.allocation.data)][2])[...] = False
        for memory, before, places in spoilt.values():
            memory[places] = before[places]
