"""Which planned buffers of the unified buffer hold something that is still needed, and when."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from ...program import Program
from ..core.binding import detached
from ..core.operations import UNKNOWN_PLACE
from ..execute.launch import GridLaunch
from ..hazards.recorder import Recorder
from ..trace.events import Issue, ScalarAccess
from .profile import Profile


@dataclass(frozen=True)
class Buffer:
    """A planned buffer of one program.

    Args:
        start, end: Bytes of the unified buffer.
        line: ``file:line`` in the Triton source of what first writes it.
        live: Cycles from a write, or several in a row, to the last read before the next write.
    """

    start: int
    end: int
    line: str
    live: tuple[tuple[float, float], ...]


def buffers(
    program: Program, args: Sequence, grid: Sequence[int], cores: int, found: Profile, number: int
) -> tuple[Buffer, ...]:
    """The buffers of one program of a core, by address.

    Args:
        program, args, grid: As simulated; the arguments are left alone.
        cores: Vector cores of the chip.
        found: The core's profile.
        number: Which of the core's programs.
    """
    launch, block = GridLaunch(program, grid), number * cores + found.core
    recorder = Recorder(launch.core)
    with launch.held():
        trace = launch.run(detached(args), recorder, values=launch.reads_local)[block]
    places = [place for place, event in enumerate(trace) if isinstance(event, Issue | ScalarAccess)]
    times = found.programs[number][1].times
    spans: dict[tuple[int, int], _Life] = {}
    for access in recorder.locals[block]:
        index = bisect_left(places, access.place)
        if index == len(places):
            continue
        reads, writes = (
            {(region.allocation.start, region.allocation.end) for region in regions}
            for regions in (access.reads, access.writes)
        )
        for where in reads | writes:
            spans.setdefault(where, _Life()).add(access.op.location, *times[index], where in reads, where in writes)
    return tuple(Buffer(*where, life.line, tuple(life.spans())) for where, life in sorted(spans.items()))


class _Life:
    """When a buffer is live, from its accesses in program order."""

    def __init__(self) -> None:
        self.line = UNKNOWN_PLACE
        self.read: list[tuple[float, float]] = []
        self.written: list[tuple[float, float]] = []
        """Writes since the last read."""

    def add(self, line: str, start: float, end: float, reads: bool, writes: bool) -> None:
        if writes and self.line == UNKNOWN_PLACE:
            self.line = line
        if not reads:
            self.written.append((start, end))
        elif self.written or not self.read:
            self.read.append((min([start, *(first for first, _ in self.written)]), end))
            self.written = []
        else:
            first, last = self.read[-1]
            self.read[-1] = first, max(last, end)

    def spans(self) -> list[tuple[float, float]]:
        """What is written and never read is live only while it is written."""
        return [*self.read, *self.written]


def live_bytes(found: Sequence[Buffer]) -> list[tuple[float, int]]:
    """``(cycle, bytes)`` wherever the number of live bytes changes; bytes of several buffers count once."""
    changes = sorted({at for buffer in found for span in buffer.live for at in span})
    levels: list[tuple[float, int]] = []
    for at in changes:
        ranges = [(b.start, b.end) for b in found if any(first <= at < last for first, last in b.live)]
        level = _union(ranges)
        if not levels or levels[-1][1] != level:
            levels.append((at, level))
    return levels


def _union(ranges: list[tuple[int, int]]) -> int:
    covered = total = 0
    for start, end in sorted(ranges):
        total += max(0, end - max(start, covered))
        covered = max(covered, end)
    return total
