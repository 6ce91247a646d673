"""Other bytes where nothing was written: a result that changes with them depends on them."""

from collections.abc import Sequence

import numpy as np

from .buffer import Unwritten
from .undo import Undo

PATTERNS = (0xFF, 0x3C)
"""NaN in every float type and -1; small finite numbers."""


class Poisoner:
    """Observes a core: at the given reads, puts a pattern where nothing was written, for that instruction alone."""

    def __init__(self, core, reads: Sequence[Sequence[Unwritten]], pattern: int) -> None:
        self.core, self.pattern, self.undo = core, pattern, Undo()
        self.reads: dict[tuple[int, int], list[Unwritten]] = {}
        for program, own in enumerate(reads):
            for read in own:
                self.reads.setdefault((program, read.access.place), []).append(read)

    def __call__(self, op, touches, step, env: list) -> None:
        written = touches(env).writes if touches else ()
        self.undo.keep(written)
        reads = self.reads.get((self.core.block, len(self.core.trace)), ())
        if not reads or not touches:
            step(env)
            return
        buffer = self.core.buffer
        before = buffer.copy()
        spoilt = np.zeros(len(buffer), np.bool_)
        for read in reads:
            read.region.of(spoilt)[read.mask] = True
        buffer[spoilt] = self.pattern
        step(env)
        for region in written:
            if region.allocation.local:
                region.of(spoilt)[...] = False
        buffer[spoilt] = before[spoilt]
