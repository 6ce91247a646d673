"""Every cycle of a program's pipes: an observer of `timeline.schedule`."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter

from ..core.operations import UNKNOWN_PLACE, Op
from ..timing.costs import Cost, Costs
from ..timing.groups import schedule_cores
from ..timing.timeline import Observer
from ..trace.events import (
    ALL,
    Barrier,
    FlagId,
    Issue,
    Lock,
    Meet,
    ScalarAccess,
    ScalarWork,
    SetCounter,
    SetFlag,
    Trace,
    Unlock,
    WaitCounter,
    WaitFlag,
)
from ..trace.pipes import labels, pipes_of
from .stalls import Cause, Flag, Slice, Stall

START = attrgetter("start")


class Recording(Observer):
    """One program's slices, stalls and flags.

    From the program's start to its end, each cycle of a pipe is in a slice, in a stall, or after ``ends`` of that pipe.
    What the scalar unit does for another pipe while it issues further operations counts once.

    Args:
        kind: The core's ("AIV", "AIC").
        pipes: What its pipes are called here, its scalar unit first; by default their names.
    """

    def __init__(self, kind: str = "AIV", pipes: tuple[str, ...] = ()) -> None:
        self.pipes = pipes or pipes_of(kind)
        self._name = dict(zip((*pipes_of(kind), ALL), (*self.pipes, ALL), strict=True))
        self.scalar_pipe = self.pipes[0]
        self.counted_by: dict[float, tuple[int, float, str]] = {}
        """By the time when a wait for another core of the group ends: which core, when it set the flag, and where it
        is waited for."""
        self.slices: list[Slice] = []
        self.stalls: list[Stall] = []
        self.flags: list[Flag] = []
        self.times: list[tuple[float, float]] = []
        """Start and end of each operation on a pipe and each scalar access, in the order of the trace."""
        self.scalar: list[Slice | Stall] = []
        """The scalar unit's own time, in order, without what it does for other pipes while it waits."""
        self.complete: dict[tuple[str, float], float] = {}
        """By pipe and time: the end of the operation whose accesses are complete then."""
        self.total = 0.0
        self.ends = dict.fromkeys(self.pipes, 0.0)
        self._up: dict[FlagId, tuple[str, float, float]] = {}
        self._latest: dict[str, str] = {}
        self._fallbacks: list[Slice] = []
        self._unissued: list[Stall] = []
        self._lines: dict[Op | None, str] = {None: UNKNOWN_PLACE}
        self._shares: dict[int, list[tuple[str, float]]] = {}

    def worked(self, event: ScalarWork | ScalarAccess, begun: float, now: float) -> None:
        if isinstance(event, ScalarAccess):
            self._scalar_slice("scalar access", self._line(event.op), begun, now)
            self.times.append((begun, now))
            return
        for line, first, last in self._by_line(event.by_op or ((None, event.count),)):
            self._scalar_slice("scalar", line, begun + (now - begun) * first, begun + (now - begun) * last)

    def issued(
        self, event: Issue, cost: Cost, begun: float, ready: float, start: float, end: float, now: float
    ) -> None:
        operation, work = event.op, event.work
        pipe, line, issued = self._name[work.pipe], self._line(operation), begun + cost.issue
        name = operation.name if operation else "operation"
        self._scalar_slice(name, line, begun, issued)
        self._scalar_stall(issued, ready, Cause("draining", line))
        self._scalar_stall(ready, now, Cause("blocking", line))
        if start > self.ends[pipe]:
            self._unissued.append(Stall(pipe, self.ends[pipe], start, Cause("issue", line)))
        helped, own = start + cost.scalar, start + cost.pipe
        self._stall(pipe, start, helped, Cause("fallback", line), within=True)
        self._stall(pipe, own, end, Cause("memory", line), within=True)
        self.slices.append(Slice(pipe, name, line, start, end, work, cost.scalar, end - own, operation))
        self.complete[pipe, end + cost.latency] = end
        if cost.scalar:
            self._fallbacks.append(Slice(self.scalar_pipe, name, line, start, helped))
        self.times.append((start, end))
        self.ends[pipe] = end
        self._latest[pipe] = line

    def raised(self, event: SetFlag, begun: float, now: float, at: float, up: float) -> None:
        line = self._line(event.op)
        self._scalar_slice("set_flag", line, begun, now)
        self._up[event.flag] = line, begun, at

    def waited(self, event: WaitFlag, begun: float, now: float, idle: float, up: float, on: float) -> None:
        source, waiting, identity = self._name[event.flag.source], self._name[event.flag.waiting], event.flag.event
        line = self._line(event.op)
        set_line, issued, at = self._up.pop(event.flag)
        self.flags.append(Flag(source, waiting, identity, set_line, issued, at, up, line, on))
        cause = Cause("flag", line, source, waiting, identity, set_line)
        if waiting == self.scalar_pipe:
            self._scalar_slice("wait_flag", line, begun, idle)
            self._scalar_stall(idle, on, cause)
            return
        self._scalar_slice("wait_flag", line, begun, now)
        if now > idle:
            self._unissued.append(Stall(waiting, idle, now, Cause("issue", line)))
        self._stall(waiting, max(idle, now), on, cause)
        self.ends[waiting] = on

    def drained(self, event: Barrier, idle: float, on: float) -> None:
        pipe = self._name[event.pipe]
        cause = Cause("barrier", self._line(event.op), pipe=pipe)
        if pipe == ALL:
            self._scalar_stall(idle, on, cause)
        else:
            self._stall(pipe, idle, on, cause)
            self.ends[pipe] = on

    def locked(self, event: Lock | Unlock | Meet, begun: float, turn: float, now: float) -> None:
        line = self._line(event.op)
        kind = "cores" if isinstance(event, Meet) else "lock"
        self._scalar_stall(begun, turn, Cause(kind, line))
        self._scalar_slice(kind, line, turn, now)

    def counted(self, event: WaitCounter, begun: float, turn: float, now: float, source: int, at: float) -> None:
        line = self._line(event.op)
        if turn > begun:
            self.counted_by[turn] = source, at, line
        self._scalar_stall(begun, turn, Cause("group", line))
        self._scalar_slice("sync_block_wait", line, turn, now)

    def set_counter(self, event: SetCounter, begun: float, now: float) -> None:
        self._scalar_slice("sync_block_set", self._line(event.op), begun, now)

    def ended(self, total: float, done: dict[str, float]) -> None:
        self.total = total
        for own, complete in done.items():
            pipe = self._name[own]
            self._stall(pipe, self.ends[pipe], complete, Cause("completion", self._latest.get(pipe, UNKNOWN_PLACE)))
            self.ends[pipe] = max(self.ends[pipe], complete)
        self._explain_unissued()
        for part in self._with_fallbacks():
            (self.slices if isinstance(part, Slice) else self.stalls).append(part)
            self.ends[self.scalar_pipe] = part.end
        self.slices.sort(key=START)
        self.stalls.sort(key=START)

    def _stall(self, pipe: str, start: float, end: float, cause: Cause, within: bool = False) -> None:
        if end > start:
            self.stalls.append(Stall(pipe, start, end, cause, within))

    def _scalar_slice(self, name: str, line: str, start: float, end: float) -> None:
        self.scalar.append(Slice(self.scalar_pipe, name, line, start, end))

    def _scalar_stall(self, start: float, end: float, cause: Cause) -> None:
        if end > start:
            self.scalar.append(Stall(self.scalar_pipe, start, end, cause))

    def _explain_unissued(self) -> None:
        """Where a pipe has nothing to do: the scalar unit is busy elsewhere, or itself waits for something."""
        starts = [part.start for part in self.scalar]
        for pipe, start, end, cause, _ in self._unissued:
            at = max(0, bisect_right(starts, start) - 1)
            while start < end and at < len(starts):
                part = self.scalar[at]
                until = min(end, part.end)
                self._stall(pipe, start, until, part.cause if isinstance(part, Stall) else cause)
                start = max(start, until)
                at += 1

    def _with_fallbacks(self) -> Iterator[Slice | Stall]:
        """The scalar unit's own time, with what it does for other pipes where it waits or has ended."""
        rest = deque(sorted(self._fallbacks, key=START))
        for part in self.scalar:
            if isinstance(part, Slice):
                yield part
                continue
            start = part.start
            while rest and rest[0].start < part.end:
                helped = rest[0]
                if helped.end > start:
                    if helped.start > start:
                        yield part._replace(start=start, end=helped.start)
                    first, last = max(start, helped.start), min(part.end, helped.end)
                    yield helped._replace(start=first, end=last)
                    start = last
                if helped.end > part.end:
                    break
                rest.popleft()
            if start < part.end:
                yield part._replace(start=start)
        at = self.scalar[-1].end if self.scalar else 0.0
        for helped in rest:
            if helped.end > at:
                if helped.start > at:
                    yield Stall(self.scalar_pipe, at, helped.start, Cause("blocking", helped.line))
                yield helped._replace(start=max(at, helped.start))
                at = helped.end

    def _line(self, operation: Op | None) -> str:
        if operation not in self._lines:
            self._lines[operation] = operation.location
        return self._lines[operation]

    def _by_line(self, operations: tuple) -> list[tuple[str, float, float]]:
        """Lines of scalar operations, with the part of the time that each takes, as two shares of the whole."""
        key = id(operations)
        if key not in self._shares:
            times: Counter[str] = Counter()
            for operation, count in operations:
                times[self._line(operation)] += count
            ends = [0, *accumulate(times.values())]
            self._shares[key] = [
                (line, first / ends[-1], last / ends[-1])
                for line, first, last in zip(times, ends, ends[1:], strict=False)
            ]
        return self._shares[key]


class GroupRecording:
    """The recordings of a group's cores as one: times are since their common start.

    Args:
        cores: The cube core's, then its vector cores'.
    """

    def __init__(self, cores: Sequence[Recording]) -> None:
        self.cores = tuple(cores)
        self.pipes = tuple(pipe for core in cores for pipe in core.pipes)
        self.slices = sorted((part for core in cores for part in core.slices), key=START)
        self.stalls = sorted((part for core in cores for part in core.stalls), key=START)
        self.flags = [flag for core in cores for flag in core.flags]
        self.total = max(core.total for core in cores)
        self.ends = {pipe: end for core in cores for pipe, end in core.ends.items()}


def recorded(trace: Trace, costs: Sequence[Costs], kinds: tuple[str, ...], turns: dict) -> Recording | GroupRecording:
    """The recording of a program on all the cores that it runs on."""
    cores = [Recording(kind, names) for kind, names in zip(kinds, labels(kinds), strict=True)]
    schedule_cores(trace, costs, cores, turns)
    return cores[0] if len(cores) == 1 else GroupRecording(cores)
