"""Simulated launches as Chrome trace events, which ui.perfetto.dev opens: a process a core, a thread a pipe."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cold_kernels.ascend.findings.place import place, source
from cold_kernels.ascend.simulator.profile.buffers import live_bytes
from cold_kernels.ascend.simulator.profile.profile import Profile, alike, profile
from cold_kernels.ascend.simulator.profile.recording import Recording
from cold_kernels.ascend.simulator.profile.stalls import Flag, Slice, Stall
from cold_kernels.ascend.simulator.trace.work import SCALAR
from cold_kernels.files import write_whole

from .analysis import SIMULATED
from .profiled import ProfiledKernel, ProfiledLaunch

MOST_EVENTS = 400_000
"""Events after which no further core is added."""
MOST_MAPS = 8
"""Different programs of a core whose live bytes are counted."""
NS = 1e9


def write_trace(profiled: ProfiledKernel, path: Path, cores: int) -> str:
    """Write the file; the line to print about it.

    Of each launch it has one core for all with the same timeline, at most ``cores`` of them, first the one that
    finishes last.
    """
    events: list[dict[str, Any]] = []
    shown = there = 0
    begin = 0
    for number, launch in enumerate(profiled.launches, 1):
        groups = alike(launch.simulation)
        there += len(groups)
        for group in groups[:cores]:
            if shown and len(events) >= MOST_EVENTS:
                break
            shown += 1
            events += core_events(launch, group, pid=shown, begin=begin, title=f"launch {number}: {launch.function}")
        simulation = launch.simulation
        begin += round(simulation.microseconds * 1000)
    kept = {"evidence": SIMULATED, "kernel": profiled.kernel, "shape": profiled.shape}
    kept["chip"] = profiled.machine.chip.name
    kept |= {"config": str(profiled.config or ""), "timelines": f"{shown} of {there} different ones"}
    events.sort(key=lambda event: event.get("ts", -1))
    write_whole(path, json.dumps({"displayTimeUnit": "ns", "otherData": kept, "traceEvents": events}))
    return f"{path}: {shown} of {there} different core timelines, simulated; open it in ui.perfetto.dev"


def core_events(launch: ProfiledLaunch, group: list[int], pid: int, begin: int, title: str) -> list[dict[str, Any]]:
    """The events of the first core of ``group``, which stands for all of it, from ``begin`` ns on."""
    found = profile(launch.simulation, group[0])
    others = f" and {len(group) - 1} cores alike" if len(group) > 1 else ""
    events = [_named("process_name", pid, 0, f"{title}, core {group[0]}{others} (simulated)")]
    for tid, pipe in enumerate(found.pipes, 1):
        events += [_named("thread_name", pid, tid, pipe), _sorted(pid, tid)]
    return events + list(_Core(launch, found, pid, begin).events())


class _Core:
    """Times of one core in whole nanoseconds, so that what follows without a gap does so in the file."""

    def __init__(self, launch: ProfiledLaunch, found: Profile, pid: int, begin: int) -> None:
        self.launch, self.found, self.pid, self.begin = launch, found, pid, begin
        self.chip = launch.simulation.chip
        self.levels: dict[int, list[tuple[float, int]]] = {}

    def events(self) -> Iterator[dict[str, Any]]:
        for number, (start, recording) in enumerate(self.found.programs):
            spans = {pipe: [part for part in recording.slices if part.pipe == pipe] for pipe in self.found.pipes}
            spans = {pipe: [part for part in parts if self._long(start, part)] for pipe, parts in spans.items()}
            for parts in spans.values():
                for part in parts:
                    yield self._slice(start, part, number)
            for stall in recording.stalls:
                if not stall.within and self._long(start, stall):
                    yield self._stall(start, stall)
            for index, flag in enumerate(recording.flags):
                yield from self._arrow(start, flag, spans, f"{self.pid}.{number}.{index}")
            yield from self._bandwidth(start, recording)
            yield from self._live(start, recording, number)

    def _at(self, cycles: float) -> int:
        return self.begin + round(cycles / self.chip.frequency * NS)

    def _long(self, start: float, part: Slice | Stall) -> bool:
        return self._at(start + part.end) > self._at(start + part.start)

    def _event(self, phase: str, at: int, pipe: str, **fields: Any) -> dict[str, Any]:
        return {"ph": phase, "ts": at / 1000, "pid": self.pid, "tid": self.found.pipes.index(pipe) + 1, **fields}

    def _span(self, start: float, part: Slice | Stall, **fields: Any) -> dict[str, Any]:
        first, last = self._at(start + part.start), self._at(start + part.end)
        return self._event("X", first, part.pipe, dur=(last - first) / 1000, **fields)

    def _slice(self, start: float, part: Slice, program: int) -> dict[str, Any]:
        args: dict[str, Any] = {"line": place(part.line), "source": source(part.line), "cycles": part.end - part.start}
        stalled = {"cycles_for_memory": part.memory, "cycles_by_scalar_unit": part.fallback}
        args |= {name: cycles for name, cycles in stalled.items() if cycles}
        if part.work and part.work.global_bytes:
            args["bytes"] = part.work.global_bytes
        args["program_of_core"] = program
        return self._span(
            start, part, name=f"{part.name.rpartition('.')[2]} {_number(part.line)}", cat="work", args=args
        )

    def _stall(self, start: float, stall: Stall) -> dict[str, Any]:
        cause = stall.cause
        args: dict[str, Any] = {"line": place(cause.line), "cycles": stall.end - stall.start}
        if cause.set_line:
            args["set_line"] = place(cause.set_line)
        return self._span(start, stall, name=f"stall: {cause}", cat="stall", cname="grey", args=args)

    def _arrow(self, start: float, flag: Flag, spans: dict, identity: str) -> Iterator[dict[str, Any]]:
        """From the last slice before a flag was set to the first one after its wait, where there are both."""
        sources, targets = spans[flag.source], spans[flag.waiting]
        # The scalar unit is in the slice that sets the flag; another pipe is done with one before.
        begin = flag.issued if flag.source.endswith(SCALAR) else flag.up
        before = bisect_right(sources, begin, key=lambda part: part.start) - 1
        after = bisect_left(targets, flag.passed, key=lambda part: part.start)
        if before < 0 or after == len(targets):
            return
        first, last = sources[before], targets[after]
        leaves, arrives = self._at(start + first.end) - 1, self._at(start + last.start)
        name = {"name": f"event {flag.event}", "cat": "flag", "id": identity}
        args = {"set": place(flag.set_line), "wait": place(flag.wait_line)}
        yield self._event("s", min(leaves, arrives), flag.source, args=args, **name)
        yield self._event("f", arrives, flag.waiting, bp="e", args=args, **name)

    def _bandwidth(self, start: float, recording: Recording) -> Iterator[dict[str, Any]]:
        for part in recording.slices:
            if part.work and part.work.global_bytes and self._long(start, part):
                rate = part.work.global_bytes / (part.end - part.start) * self.chip.frequency / 1e9
                for at, value in ((part.start, round(rate, 3)), (part.end, 0.0)):
                    counter = {"name": f"{part.pipe} GB/s", "args": {"GB/s": value}}
                    yield self._event("C", self._at(start + at), part.pipe, **counter)

    def _live(self, start: float, recording: Recording, number: int) -> Iterator[dict[str, Any]]:
        if id(recording) not in self.levels:
            if len(self.levels) >= MOST_MAPS:
                return
            self.levels[id(recording)] = live_bytes(self.launch.buffers(self.found, number))
        for at, level in self.levels[id(recording)]:
            counter = {"name": "unified buffer, live bytes", "args": {"bytes": level}}
            yield self._event("C", self._at(start + at), self.found.pipes[0], **counter)


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _sorted(pid: int, tid: int) -> dict[str, Any]:
    return {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": tid}}


def _number(line: str) -> str:
    return f":{line.rpartition(':')[2]}" if ":" in line else ""
