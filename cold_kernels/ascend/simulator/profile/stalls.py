"""What a pipe does and why it does nothing, as values; `recording.Recording` makes them."""

from dataclasses import dataclass
from typing import NamedTuple

from ..core.operations import UNKNOWN_PLACE, Op
from ..trace.work import Work

CAUSES = {
    "flag": "waits for a flag that another pipe sets",
    "barrier": "waits at a barrier until earlier instructions are complete",
    "issue": "has nothing to do: the scalar unit has not come to issue the next instruction",
    "memory": "copies at its share of global memory's bandwidth, below its own rate",
    "fallback": "the scalar unit does element by element what the pipe cannot",
    "blocking": "the scalar unit waits for the end of an operation before it goes on",
    "draining": "the scalar unit waits until the vector pipe is idle before it issues an operation",
    "lock": "the scalar unit waits to enter or to leave what programs pass one by one",
    "cores": "the scalar unit waits at a barrier of all cores",
    "group": "the scalar unit waits for a flag of its group's other cores",
    "completion": "has nothing more to do, and its last accesses are not complete",
    "program": "waits for the program's other pipes, and then for the dispatch of the core's next program",
}
"""Why a pipe stalls, by `Cause.kind`."""


@dataclass(frozen=True)
class Cause:
    """Why a pipe does nothing.

    Args:
        kind: One of `CAUSES`.
        line: ``file:line`` in the Triton source of what waits: a wait, a barrier, an operation.
        source, waiting, event: Of a flag, its pipes and its number. Where a pipe has nothing to do because the
            scalar unit waits for a flag, ``waiting`` is the scalar unit.
        set_line: Of a flag, where it is set.
        pipe: Of a barrier, whose it is, or ALL.
    """

    kind: str
    line: str = UNKNOWN_PLACE
    source: str = ""
    waiting: str = ""
    event: int | None = None
    set_line: str = ""
    pipe: str = ""

    def __str__(self) -> str:
        if self.kind == "flag":
            return f"flag {self.source} -> {self.waiting} event {self.event}"
        return f"barrier {self.pipe}" if self.kind == "barrier" else self.kind


class Slice(NamedTuple):
    """An operation on a pipe, from cycle ``start`` to ``end``.

    Its first ``fallback`` cycles and its last ``memory`` cycles are in stalls ``within`` it.
    """

    pipe: str
    name: str
    line: str
    start: float
    end: float
    work: Work | None = None
    fallback: float = 0.0
    memory: float = 0.0
    op: Op | None = None

    @property
    def busy(self) -> float:
        return self.end - self.start - self.fallback - self.memory


class Stall(NamedTuple):
    """A time in which a pipe does nothing, in cycles: between two slices, or ``within`` one."""

    pipe: str
    start: float
    end: float
    cause: Cause
    within: bool = False


class Flag(NamedTuple):
    """A flag: issued at ``issued``, with all before it on its pipe complete at ``set``, up at ``up``, and ``passed`` by
    who waited for it; cycles."""

    source: str
    waiting: str
    event: int
    set_line: str
    issued: float
    set: float
    up: float
    wait_line: str
    passed: float
