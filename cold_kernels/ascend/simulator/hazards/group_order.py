"""What one core of a group knows of the others when it goes past a wait for their flags."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ..core.counters import CUBE, MOST, Counters
from ..core.operations import Op
from ..trace.events import SetCounter, WaitCounter
from .hazard import FLAG, Found


class _Set(NamedTuple):
    pipe: str
    known: list[int]
    op: Op | None


class GroupOrder:
    """The counters of a group, with what is complete when each set counts.

    Args:
        cores: How many there are.
        found: Is told of counters that hold too much, and of those that nobody takes.
        program: Which program it is.
    """

    def __init__(self, cores: int, found: Found, program: int) -> None:
        self.counters, self.found, self.program = Counters(cores - 1), found, program
        self._cores = range(cores)
        self._sets: defaultdict[tuple[int, int], list[_Set]] = defaultdict(list)

    def set(self, core: int, event: SetCounter, known: list[int]) -> None:
        """``known``: for each pipe, how many of its instructions are complete when the flag counts."""
        flag = event.flag
        self.counters.set(core, flag)
        self._sets[core, flag].append(_Set(event.pipe, known, event.op))
        others = self._cores[1:] if core == CUBE else (CUBE,)
        if max(self.counters.value(other, flag) for other in others) > MOST:
            message = f"{event.op!r} sets flag {flag} of its group more than {MOST} times with no wait between"
            self.found.add(FLAG, message, event.op, program=self.program)

    def wait(self, core: int, event: WaitCounter) -> Iterator[list[int]]:
        """What is complete on each core whose set is taken.

        Sets of one pipe count in their order. Of sets of several pipes that have not been taken yet nobody knows which
        one counts first: of each pipe what all of them know is known.
        """
        number = self.counters.take(core, event.flag)
        for source in self.counters.sources(core):
            pending = self._sets[source, event.flag][number:]
            if len({one.pipe for one in pending}) > 1:
                yield [min(counts) for counts in zip(*(one.known for one in pending), strict=True)]
            else:
                yield pending[0].known

    def end(self) -> None:
        """Report what is left: the next program on these cores begins with it."""
        for core, flag, value in self.counters.left():
            (source, *_) = self.counters.sources(core)
            operation = self._sets[source, flag][-1].op
            message = f"nothing waits for flag {flag} of its group, which {operation!r} sets: "
            message += f"a counter is left at {value}, and the core's next program goes past a wait too early"
            self.found.add(FLAG, message, operation, program=self.program)
        for (core, flag), sets in self._sets.items():
            fewest = min(len(self._sets[other, flag]) for other in self.counters.sources(CUBE)) if core else len(sets)
            if len(sets) > fewest:
                message = f"{sets[-1].op!r} sets flag {flag} of its group more often than the other vector core"
                self.found.add(FLAG, message, sets[-1].op, program=self.program)
