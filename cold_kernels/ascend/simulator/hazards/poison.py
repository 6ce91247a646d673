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
        apart: Put it into a copy of the buffer that was read, so that another operand in the same place stays what it
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
        seen = list(env)
        for read in reads:
            own = read.region.allocation
            memory = self.core.buffer.copy()
            read.region.of(memory)[read.mask] = self.pattern
            copy = Allocation(own.name, memory, own.start, own.end, own.local)
            for slot, ref in enumerate(env):
                if isinstance(ref, MemRef) and ref.allocation is own:
                    seen[slot] = MemRef(copy, ref.offset, ref.shape, ref.strides, ref.dtype)
        given = list(seen)
        step(seen)
        for slot, (value, before) in enumerate(zip(seen, given, strict=True)):
            if value is not before:
                env[slot] = value

    def _in_place(self, reads: Sequence[Unwritten], written: Sequence, step, env: list) -> None:
        buffer = self.core.buffer
        before, spoilt = buffer.copy(), np.zeros(len(buffer), np.bool_)
        for read in reads:
            read.region.of(spoilt)[read.mask] = True
        buffer[spoilt] = self.pattern
        step(env)
        for region in written:
            if region.allocation.local:
                region.of(spoilt)[...] = False
        buffer[spoilt] = before[spoilt]
