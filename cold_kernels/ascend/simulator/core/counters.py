"""The counters by which the cores of a group order each other: sixteen on every core.

AscendC, CrossCoreSetFlag and CrossCoreWaitFlag, mode 2: what the cube core sets counts on each of its vector cores;
what vector cores set counts on the cube core once all of them have set it. A wait that finds 0 blocks, else it takes 1.
"""

from collections import Counter

CUBE = 0
"""The number of a group's cube core; its vector cores come after it."""

FLAGS = 16
MOST = 16
"""Sets that a counter holds (AscendC: a flag is set at most 16 times)."""


class Counters:
    """The counters of one group.

    Args:
        vectors: How many vector cores there are.
    """

    def __init__(self, vectors: int) -> None:
        self._vectors = range(1, vectors + 1)
        self._sets: Counter[tuple[int, int]] = Counter()
        self._taken: Counter[tuple[int, int]] = Counter()

    def set(self, core: int, flag: int) -> None:
        """``core`` has set the flag."""
        self._sets[core, flag] += 1

    def value(self, core: int, flag: int) -> int:
        """What the core's counter is at."""
        return min(self._sets[source, flag] for source in self.sources(core)) - self._taken[core, flag]

    def take(self, core: int, flag: int) -> int:
        """The core goes past a wait; how many waits for this flag it had gone past before."""
        self._taken[core, flag] += 1
        return self._taken[core, flag] - 1

    def sources(self, core: int) -> tuple[int, ...]:
        """The cores whose sets count on a core."""
        return tuple(self._vectors) if core == CUBE else (CUBE,)

    def left(self) -> list[tuple[int, int, int]]:
        """Counters that are not 0 although nobody waits any more: core, flag, value."""
        flags = sorted({flag for _, flag in self._sets})
        values = ((core, flag, self.value(core, flag)) for flag in flags for core in (CUBE, *self._vectors))
        return [found for found in values if found[2]]
