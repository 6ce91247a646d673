"""What one program does, in order: the events of its trace.

Events are compared by content, so that equal programs have equal traces. Each says last which operation of the program
it comes from; made-up traces may leave that out. Those that there are most of are hashed by that operation alone: a
trace is hashed whole, and an operation mostly leaves the same event.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

from ..core.operations import Op
from .work import Work

ALL = "ALL"
"""In a pipe's place: a barrier of all pipes."""


UNIT = 1 << 20
"""From here on the number of an event is that of a unit flag, after it the byte of L0C."""


class FlagId(NamedTuple):
    """Which flag of a core: the pipe that sets it, the one that waits for it, and the number of the event."""

    source: str
    waiting: str
    event: int

    def __str__(self) -> str:
        event = f"event {self.event}" if self.event < UNIT else f"the unit flag of byte {self.event - UNIT}"
        return f"{event} of {self.source} for {self.waiting}"


@dataclass(frozen=True, slots=True)
class ScalarWork:
    """``count`` operations of the scalar unit; ``by_op`` says how many of them each operation is.

    ``divisions`` of them divide by a number that only the launch knows.
    """

    count: int
    by_op: tuple[tuple[Op, int], ...] = ()
    divisions: int = 0

    def __hash__(self) -> int:
        return hash(self.count)


@dataclass(frozen=True, slots=True)
class ScalarAccess:
    """``count`` elements that the scalar unit reads or writes: of the unified buffer if ``local``, or global memory.

    ``missed`` times the scalar unit waits for a line that its data cache has not, ``first`` of them in a tensor that it
    had loaded nothing of. ``drains``: it first waits until every pipe is idle.
    """

    local: bool
    count: int = 1
    op: Op | None = None
    missed: int = 0
    first: int = 0
    drains: bool = False

    def __hash__(self) -> int:
        return hash(self.op)


@dataclass(frozen=True, slots=True)
class Issue:
    """Work is given to a pipe. Build it with `issues`, which keeps one object for equal work of an operation."""

    work: Work
    op: Op | None = None

    def __hash__(self) -> int:
        return hash(self.op)


@dataclass(frozen=True, slots=True)
class SetFlag:
    """A flag is set when everything before it on its pipe is complete."""

    flag: FlagId
    op: Op | None = None

    def __hash__(self) -> int:
        return hash(self.op)


@dataclass(frozen=True, slots=True)
class WaitFlag:
    """A pipe waits until a flag is set, and clears it."""

    flag: FlagId
    op: Op | None = None

    def __hash__(self) -> int:
        return hash(self.op)


@dataclass(frozen=True, slots=True)
class Barrier:
    """A pipe, or `ALL`, waits until what it was given is complete."""

    pipe: str
    op: Op | None = None

    def __hash__(self) -> int:
        return hash(self.op)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, named by its address, is taken; programs pass it in the order of the grid."""

    address: int
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class Unlock:
    """A lock is passed on to the next program of the grid."""

    address: int
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class Arrive:
    """This program has come to the barrier of all cores that has this number, when the pipe is done."""

    pipe: str
    number: int
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class Meet:
    """Nothing is issued until all programs have come to the barrier of all cores that has this number."""

    number: int
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows is done by this core of the group: 0 its cube core, then its vector cores."""

    core: int


@dataclass(frozen=True, slots=True)
class SetCounter:
    """A flag counts on the other cores of the group when everything before it on the pipe is complete."""

    pipe: str
    flag: int
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class WaitCounter:
    """Nothing is issued until a flag of the group's other cores counts on this one, which takes it."""

    flag: int
    op: Op | None = None


Event = (
    ScalarWork | ScalarAccess | Issue | SetFlag | WaitFlag | Barrier | Lock | Unlock | Arrive | Meet
    | Turn | SetCounter | WaitCounter
)  # fmt: skip
Trace = tuple[Event, ...]


def issues(op: Op) -> Callable[[Work], Issue]:
    """The one `Issue` of an operation for each work that it is found to have."""
    return cache(partial(Issue, op=op))


def by_core(trace: Trace, cores: int) -> list[list[Event]]:
    """The events of each core that a program runs on."""
    if cores == 1:
        return [list(trace)]
    own: list[list[Event]] = [[] for _ in range(cores)]
    core = 0
    for event in trace:
        if type(event) is Turn:
            core = event.core
        else:
            own[core].append(event)
    return own
