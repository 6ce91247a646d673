"""The critical path of a program: the chain of work and latencies, each begun by the end of the one before it."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from .recording import GroupRecording, Recording
from .stalls import Cause, Flag, Slice, Stall

STEPS = {
    "work": "the pipe works",
    "memory": "a copy waits for bandwidth",
    "fallback": "the scalar unit does what the pipe cannot",
    "latency": "an operation has ended and its accesses are not complete",
    "flag": "a flag goes from one pipe to another",
    "others": "waits for other programs",
    "dispatch": "the core waits for its next program",
}
"""What takes time on a critical path, by `PathStep.kind`."""


class PathStep(NamedTuple):
    """A part of a critical path, in cycles: ``file:line`` is that of what takes the time."""

    kind: str
    pipe: str
    line: str
    start: float
    end: float


def critical_path(recording: Recording | GroupRecording) -> list[PathStep]:
    """The steps that a program's time is made of, last one first; they follow each other without a gap.

    Of a group the path goes from a core that waits for a flag to the core that set it last.
    """
    cores = recording.cores if isinstance(recording, GroupRecording) else (recording,)
    walks = [_Walk(core) for core in cores]
    core, at = max(range(len(cores)), key=lambda number: cores[number].total), recording.total
    steps: list[PathStep] = []
    while at > 0:
        steps += walks[core].steps(at)
        core, at = walks[core].waits_for or (core, 0.0)
    return steps


class _Walk:
    """From the end of a program back to its start, always to what the present moment had to wait for.

    Times are compared exactly: each is the very number that the timeline computed.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.scalar, self.queues = recording.scalar_pipe, recording.pipes[1:]
        self.waits_for: tuple[int, float] | None = None
        """The core that the last step waited for, and when it set its flag."""
        outside = [stall for stall in recording.stalls if not stall.within]
        self.parts: dict[str, list[Slice | Stall]] = {
            self.scalar: [part for part in recording.scalar if part.end > part.start]
        }
        for pipe in self.queues:
            own = [part for part in (*recording.slices, *outside) if part.pipe == pipe and part.end > part.start]
            self.parts[pipe] = sorted(own, key=lambda part: part.end)
        self.ends = {pipe: [part.end for part in parts] for pipe, parts in self.parts.items()}
        self.own = {(pipe, part.end) for pipe in self.queues for part in self.parts[pipe] if _is_own(part)}
        self.flags = {(flag.source, flag.waiting, flag.event, flag.passed): flag for flag in recording.flags}
        self.lines = {(part.pipe, part.end): part.line for part in recording.slices}

    def steps(self, at: float) -> Iterator[PathStep]:
        """From ``at``, at which something of this core ended, back to its start, or to where it waited for another
        core (`waits_for`)."""
        self.waits_for = None
        pipe, at, latency = self._whose(at, self.recording.pipes)
        yield from latency
        while at > 0:
            part = self.parts[pipe][bisect_left(self.ends[pipe], at)]
            if isinstance(part, Slice):
                yield from _spent(part)
                at = part.start
                continue
            if part.cause.kind == "group" and pipe == self.scalar:
                core, set_at, line = self.recording.counted_by[part.end]
                yield PathStep("flag", pipe, line, set_at, part.end)
                self.waits_for = core, set_at
                return
            pipe, at, between = self._before(pipe, part)
            yield from between

    def _before(self, pipe: str, stall: Stall) -> tuple[str, float, list[PathStep]]:
        """What ended a stall: a pipe, a moment on it, and the time between that and the stall's end."""
        cause, at = stall.cause, stall.end
        if cause.kind == "flag" and cause.waiting == pipe:
            return self._setter(self.flags[cause.source, cause.waiting, cause.event, at], cause)
        if pipe == self.scalar:
            if not self._ends(at, self.queues):
                return self.scalar, stall.start, [PathStep("others", self.scalar, cause.line, stall.start, at)]
            return self._whose(at, self.queues)
        if cause.kind == "completion" or (cause.kind == "barrier" and cause.pipe == pipe):
            return self._whose(at, (pipe,))
        return self.scalar, at, []

    def _setter(self, flag: Flag, cause: Cause) -> tuple[str, float, list[PathStep]]:
        step = PathStep("flag", flag.source, flag.set_line, flag.set, flag.up)
        if flag.source == self.scalar or not self._ends(flag.set, (flag.source,)):
            return self.scalar, flag.set, [step]
        pipe, at, latency = self._whose(flag.set, (flag.source,))
        return pipe, at, [step, *latency]

    def _ends(self, at: float, pipes: tuple[str, ...]) -> bool:
        return any((pipe, at) in self.recording.complete or (pipe, at) in self.own for pipe in pipes)

    def _whose(self, at: float, pipes: tuple[str, ...]) -> tuple[str, float, list[PathStep]]:
        """The pipe whose work was complete, or ended, at a moment; with the latency between end and completion."""
        for pipe in pipes:
            if (pipe, at) in self.recording.complete:
                end = self.recording.complete[pipe, at]
                return pipe, end, [PathStep("latency", pipe, self.lines[pipe, end], end, at)]
        for pipe in pipes:
            if (pipe, at) in self.own:
                return pipe, at, []
        return self.scalar, at, []


def _is_own(part: Slice | Stall) -> bool:
    """Whether a pipe itself did something or waited, and not the scalar unit in its stead."""
    if isinstance(part, Slice):
        return True
    return part.cause.waiting == part.pipe or part.cause.pipe == part.pipe


def _spent(part: Slice) -> Iterator[PathStep]:
    helped, waited = part.start + part.fallback, part.end - part.memory
    for kind, start, end in (("memory", waited, part.end), ("work", helped, waited), ("fallback", part.start, helped)):
        if end > start:
            yield PathStep(kind, part.pipe, part.line, start, end)
