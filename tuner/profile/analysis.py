"""Why a kernel takes the time that it takes, as plain values: what ``simulate`` prints, or gives as JSON."""

import math
from collections import Counter
from typing import Any

from cold_kernels.ascend import Simulation
from cold_kernels.ascend.chips import UB_BYTES
from cold_kernels.ascend.findings.place import place, source
from cold_kernels.ascend.simulator.core.spaces import CUBE_CORE, NAMES
from cold_kernels.ascend.simulator.profile.buffers import live_bytes
from cold_kernels.ascend.simulator.profile.critical import STEPS
from cold_kernels.ascend.simulator.profile.profile import Profile
from cold_kernels.ascend.simulator.profile.stalls import CAUSES, Cause

from .profiled import ProfiledKernel, ProfiledLaunch

COSTLIEST = 10
"""Lines of the Triton source that are named."""
NEARLY_EMPTY = 0.25
"""Share of the cores that a last wave fills at least, to pass without a warning of its own."""
SIMULATED = "SIMULATED (HIVM level); nothing was measured on an NPU"


def analyse(profiled: ProfiledKernel) -> dict[str, Any]:
    """Times, pipes, stalls, lines and buffers of each launch; ``docs/simulator.md`` documents the keys.

    Raises:
        AscendError: a launch does not compile, or does what the simulator refuses.
    """
    launches = [_launch(launch) for launch in profiled.launches]
    return {
        "kernel": profiled.kernel,
        "chip": profiled.machine.chip.name,
        "evidence": SIMULATED,
        "shape": profiled.shape or None,
        "config": None if profiled.config is None else dict(profiled.config),
        "config_from": profiled.reason or None,
        "cycles": math.fsum(launch["cycles"] for launch in launches),
        "microseconds": math.fsum(launch["microseconds"] for launch in launches),
        "launches": launches,
    }


def _launch(launch: ProfiledLaunch) -> dict[str, Any]:
    simulation = launch.simulation
    found = launch.profile
    hazards = getattr(simulation, "hazards", None)
    return {
        "function": launch.function,
        "grid": list(launch.grid),
        "cycles": simulation.cycles,
        "microseconds": simulation.microseconds,
        "launch_microseconds": simulation.microseconds - simulation.cycles / simulation.chip.frequency * 1e6,
        "bound": simulation.bound,
        "verdict": _verdict(found, simulation.bound),
        "critical_path": _critical_path(found),
        "bytes_read": simulation.bytes_read,
        "bytes_written": simulation.bytes_written,
        "warnings": _warnings(math.prod(launch.grid), found, simulation.places, launch.cores),
        "core": found.core,
        "pipes": {pipe: _pipe(found, pipe) for pipe in found.pipes},
        "lines": _lines(found),
        "unified_buffer": _unified_buffer(launch, found),
        "cube_memories": _cube_memories(simulation),
        "hazards": None if hazards is None else [str(hazard) for hazard in hazards],
    }


def _pipe(found: Profile, pipe: str) -> dict[str, Any]:
    return {
        "busy": found.busy[pipe],
        "stalled": math.fsum(found.stalled[pipe].values()),
        "idle_at_end": found.idle[pipe],
        "causes": [_cause(cause, cycles) for cause, cycles in found.stalled[pipe].items()],
    }


def _cause(cause: Cause, cycles: float) -> dict[str, Any]:
    said = {"kind": cause.kind, "cycles": cycles, "line": place(cause.line), "means": CAUSES[cause.kind]}
    if cause.kind == "flag":
        said |= {
            "source": cause.source,
            "waiting": cause.waiting,
            "event": cause.event,
            "set_line": place(cause.set_line),
        }
    return said | ({"pipe": cause.pipe} if cause.kind == "barrier" else {})


def _critical_path(found: Profile) -> list[dict[str, Any]]:
    """What the launch's time is made of, by kind and pipe."""
    totals: Counter[tuple[str, str]] = Counter()
    for (kind, pipe, _), cycles in found.critical.items():
        totals[kind, pipe] += cycles
    return [
        {"kind": kind, "pipe": pipe, "cycles": cycles, "means": STEPS[kind]}
        for (kind, pipe), cycles in totals.most_common()
    ]


def _lines(found: Profile) -> list[dict[str, Any]]:
    """The lines that cost most on the critical path, then those that keep pipes busy beside it."""
    critical: Counter[str] = Counter()
    for (_, _, line), cycles in found.critical.items():
        critical[line] += cycles

    def cost(line: str) -> tuple[float, float]:
        return critical[line], sum(busy for busy, _ in found.lines[line].values())

    return [
        {
            "line": place(line),
            "text": source(line),
            "critical": critical[line],
            "busy": {pipe: found.lines[line][pipe][0] for pipe in found.pipes},
            "stalled": {pipe: found.lines[line][pipe][1] for pipe in found.pipes},
        }
        for line in sorted(found.lines, key=cost, reverse=True)[:COSTLIEST]
    ]


def _verdict(found: Profile, bound: str) -> str:
    """What bounds a launch, in a sentence or two."""
    if not found.cycles:
        return "nothing to do"
    kind, pipe, line = next(iter(found.critical))
    first = _critical_path(found)[0]
    share, busy = first["cycles"] / found.cycles, found.busy[bound] / found.cycles
    most = found.critical[kind, pipe, line] / found.cycles
    words = f"{share:.0%} of the critical path is {first['pipe']}: {first['means']}; most at {place(line)} ({most:.0%})"
    words += f". The busiest pipe is {bound}: busy {busy:.0%}"
    if found.stalled[bound]:
        cause, cycles = next(iter(found.stalled[bound].items()))
        words += f", stalled {math.fsum(found.stalled[bound].values()) / found.cycles:.0%}, most by {cause} at "
        words += f"{place(cause.line)} ({cycles / found.cycles:.0%})"
    return words


def _warnings(programs: int, found: Profile, cores: int, name: str) -> list[str]:
    waves = math.ceil(programs / cores)
    last = programs - (waves - 1) * cores
    said = []
    if waves > 1:
        said.append(
            f"{programs} programs on {cores} {name} run in {waves} waves: each core runs up to {waves} one by one"
        )
        if last < NEARLY_EMPTY * cores:
            said.append(f"the last wave is nearly empty: {last} programs on {cores} cores")
    elif programs < cores:
        said.append(f"{programs} programs: {cores - programs} of {cores} {name} have nothing to do")
    least, most = min(found.worked), max(found.worked)
    if least < 0.5 * most:
        mean = math.fsum(found.worked) / len(found.worked)
        said.append(f"cores are not even: they work {least:.0f} to {most:.0f} cycles, {mean:.0f} on average")
    return said


def _cube_memories(simulation: Simulation) -> list[dict[str, Any]]:
    """What is planned of the cube core's memories; nothing where it does not work."""
    return [
        {"name": NAMES[space], "capacity_bytes": CUBE_CORE[space], "peak_bytes": peak}
        for space, peak in simulation.execution.peak_bytes.items()
    ]


def _unified_buffer(launch: ProfiledLaunch, found: Profile) -> dict[str, Any]:
    planned = launch.buffers(found, found.longest)
    return {
        "capacity_bytes": UB_BYTES,
        "peak_bytes": launch.simulation.ub_peak_bytes,
        "most_live_bytes": max((level for _, level in live_bytes(planned)), default=0),
        "cycles": found.programs[found.longest][1].total,
        "buffers": [
            {
                "address": buffer.start,
                "bytes": buffer.end - buffer.start,
                "line": place(buffer.line),
                "text": source(buffer.line),
                "live": [list(span) for span in buffer.live],
            }
            for buffer in planned
        ],
    }
