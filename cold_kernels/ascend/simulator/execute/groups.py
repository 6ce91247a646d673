"""A cube core and its vector cores, which run one program together and wait for each other's flags."""

from collections.abc import Iterator, Sequence

from ...errors import Deadlock
from ..core.counters import CUBE, FLAGS, Counters
from ..core.waiting import Wait
from ..trace.events import Event, Turn

CORES = ("AIC", "AIV", "AIV")
"""The functions of a group's cores, in the order of their numbers."""


def name_of(core: int) -> str:
    """What a core of a group is called."""
    return "the cube core" if core == CUBE else f"vector core {core - 1}"


class Group:
    """The cores of one group. They take turns: each goes on until it waits for a flag that does not count yet.

    Args:
        cores: The cube core, then its vector cores.
    """

    def __init__(self, cores: Sequence) -> None:
        self.cores = cores
        self.counters = Counters(len(cores) - 1)
        self.turn = CUBE
        """The core whose turn it is."""
        self.at_once = True
        """Whether a flag counts as soon as it is issued; an observer that runs pipes by itself lets it count later."""
        for number, core in enumerate(cores):
            core.group, core.number = self, number

    def begin(self, block: int) -> None:
        """Begin program ``block`` on all cores, with one empty trace."""
        self.counters = Counters(len(self.cores) - 1)
        trace: list[Event] = []
        for core in self.cores:
            core.start(block)
            core.trace = trace

    def set(self, core: int, flag: int) -> None:
        """A core sets a flag."""
        if self.at_once:
            self.counters.set(core, flag)

    def wait(self, wait: Wait, core: int) -> Iterator[Wait]:
        """Give way until the flag counts on the core, and take it.

        Raises:
            ValueError: there is no such flag.
        """
        if not 0 <= wait.flag < FLAGS:
            raise ValueError(f"flag {wait.flag} is none of 0 to {FLAGS - 1}")
        while not self.counters.value(core, wait.flag):
            yield wait
        self.counters.take(core, wait.flag)

    def run(self, bodies: Sequence[Iterator[Wait]]) -> list[Event]:
        """Run the cores to their ends, and return the trace of all of them.

        Raises:
            Deadlock: every core that is left waits; names the flags and where they are waited for.
        """
        left = dict(enumerate(bodies))
        blocked: dict[int, Wait] = {}
        while left:
            ready = [n for n in left if n not in blocked or self.counters.value(n, blocked[n].flag)]
            if not ready:
                raise hung(blocked)
            for number in ready:
                self.turn = number
                self.cores[number].trace.append(Turn(number))
                blocked.pop(number, None)
                wait = next(left[number], None)
                if wait is None:
                    del left[number]
                else:
                    blocked[number] = wait
        return self.cores[CUBE].trace


def hung(blocked: dict[int, Wait]) -> Deadlock:
    """The error where the cores of a group wait for flags that nobody sets any more."""
    waits = (f"{name_of(core)} at {wait.op!r} for flag {wait.flag}" for core, wait in sorted(blocked.items()))
    return Deadlock(f"the cores of a group wait for ever: {', '.join(waits)}")
