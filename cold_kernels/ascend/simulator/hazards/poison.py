"""Whether a result depends on bytes that were never written: it does if it changes with them."""

from collections.abc import Callable, Sequence

import numpy as np

from .buffer import Unwritten

PATTERNS = (0xFF, 0x3C)
"""NaN in every float type and -1; small finite numbers."""


class Poisoner:
    """Observes a core: at the given reads, puts a pattern where nothing was written, for that instruction alone."""

    def __init__(self, core, reads: Sequence[Sequence[Unwritten]], pattern: int) -> None:
        self.core, self.pattern = core, pattern
        self.reads: dict[tuple[int, int], list[Unwritten]] = {}
        for program, own in enumerate(reads):
            for read in own:
                self.reads.setdefault((program, read.access.place), []).append(read)

    def __call__(self, op, touches, step, env: list) -> None:
        reads = self.reads.get((self.core.block, len(self.core.trace)), ())
        if not reads or touches is None:
            step(env)
            return
        buffer = self.core.buffer
        before = buffer.copy()
        spoilt = np.zeros(len(buffer), np.bool_)
        for read in reads:
            read.region.of(spoilt)[read.mask] = True
        buffer[spoilt] = self.pattern
        written = touches(env).writes
        step(env)
        for region in written:
            if region.allocation.local:
                region.of(spoilt)[...] = False
        buffer[spoilt] = before[spoilt]


def differs(reads: Sequence[Sequence[Unwritten]], outcome: Callable) -> bool:
    """Whether the launch, run as ``outcome(reads, pattern)``, comes out otherwise with other bytes at these reads."""
    one, other = (outcome(reads, pattern) for pattern in PATTERNS)
    return one != other
