"""The time of an executed launch: its programs placed on a chip's cores, in waves."""

import functools
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...chips import Chip, chip_named
from ...errors import Deadlock
from ..hazards.hazard import Hazard
from ..trace.events import Arrive, Lock, Meet
from ..trace.execution import Execution
from ..trace.pipes import labels
from .costs import Costs
from .groups import schedule_cores
from .timeline import Timeline, schedule


@dataclass(frozen=True)
class Simulation:
    """A simulated launch. Times are modelled from the chip's constants, never measured.

    Args:
        cycles: Core cycles from the first program's start to the last one's end.
        microseconds: Device time, which a profiler calls task duration: the same, plus what comes before the first
            program. What the host pays to enqueue the launch is not in it.
        pipes: Busy cycles by pipe (S, V, MTE2, MTE3; of a cube core S, M, MTE2, MTE1, FIX) of the core that finishes
            last; of a group all its cores' (`labels`).
        bytes_read, bytes_written: Copied from and to global memory, all programs together.
        ub_peak_bytes: Highest planned byte of the unified buffer.
        chip: What it was timed on.
        execution: What was timed.
        hazards: What a device may do otherwise than the program means; None if nobody looked.
    """

    cycles: float
    microseconds: float
    pipes: dict[str, float]
    bytes_read: int
    bytes_written: int
    ub_peak_bytes: int
    chip: Chip
    execution: Execution = field(repr=False)
    hazards: tuple[Hazard, ...] | None = None

    def on(self, chip: Chip | str) -> "Simulation":
        """The same execution timed on another chip."""
        return timed(self.execution, chip_named(chip) if isinstance(chip, str) else chip, self.hazards)

    @property
    def places(self) -> int:
        """How many programs the chip runs at once."""
        return places(self.execution.kinds, self.chip)

    @property
    def bound(self) -> str:
        """The busiest pipe of the core that finishes last."""
        return max(self.pipes, key=lambda pipe: self.pipes[pipe])


class Run(NamedTuple):
    """One program on its core, or its group of cores: its trace, the chip's costs for each core, and its time.

    ``turns`` is when others let it go on (see `schedule`), None if it waits for none; ``start`` is when it starts, in
    cycles since the launch's first program did.
    """

    trace: int
    costs: tuple[Costs, ...]
    timeline: Timeline
    turns: dict | None = None
    start: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.timeline.cycles


def places(kinds: tuple[str, ...], chip: Chip) -> int:
    """How many programs that run on cores of these kinds a chip runs at once."""
    return chip.vector_cores if kinds == ("AIV",) else chip.cube_cores


def traffic(execution: Execution, chip: Chip) -> tuple[float, float]:
    """Bytes per second that all cores together copy, and the share of what they read that the second-level cache has.

    What is read again comes from the second-level cache. What is written stays there until something else takes its
    place, so that global memory sees of it what does not fit beside all that the launch reads and writes. Each of the
    two moves its part at its own rate, one after the other (as AscendC's sample data_copy reckons).
    """
    read, written = execution.bytes_read, execution.bytes_written
    if not read + written:
        return chip.hbm_bytes_per_second, 0.0
    hits = max(0, read - execution.unique_bytes)
    held = execution.unique_bytes + written
    back = written * max(0.0, 1 - chip.l2_bytes / held) if held else 0.0
    seconds = (execution.unique_bytes + back) / chip.hbm_bytes_per_second
    seconds += (hits + written - back) / chip.l2_bytes_per_second
    return (read + written) / seconds, hits / read if read else 0.0


def placed(execution: Execution, chip: Chip) -> list[list[Run]]:
    """For each core, or group of cores, that has any, its programs one after the other, each distinct one timed once.

    Programs are dispatched in the order of the grid, one every ``dispatch_us``, each to the core that is free first.
    The cores that run at once share the bandwidth of global memory by what they copy: forty cores with the same amount
    get a fortieth each, one core beside others that copy next to nothing gets nearly all. Programs that end before the
    next ones are dispatched do not share.
    """
    bandwidth, hits = traffic(execution, chip)
    interval = chip.constants["dispatch_us"] * 1e-6 * chip.frequency
    overhead = chip.constants["program_us"] * 1e-6 * chip.frequency

    kinds, largest = execution.kinds, execution.most or execution.moved

    @functools.cache
    def costs(sharers: float) -> tuple[Costs, ...]:
        return tuple(Costs(chip, bandwidth / sharers / chip.frequency, hits, kind == "AIC") for kind in kinds)

    def spent(trace: int, sharers: float, turns: dict | None = None) -> Timeline:
        return together(schedule_cores(execution.traces[trace], costs(sharers), turns=turns), kinds)

    @functools.cache
    def alone(trace: int, sharers: float) -> Run:
        return Run(trace, costs(sharers), spent(trace, sharers))

    waits = [any(isinstance(event, Lock | Meet) for event in trace) for trace in execution.traces]
    width = places(kinds, chip)
    count = min(width, len(execution.programs))
    cores: list[list[Run]] = [[] for _ in range(count)]
    free = [(-math.inf, core) for core in range(count)]
    start = -interval
    for first in range(0, len(execution.programs), width):
        wave = execution.programs[first : first + width]
        sharers = _sharers([execution.moved[trace] for trace in wave], max(largest[trace] for trace in wave))
        if sharers > 1 and len(kinds) == 1 and not any(waits[trace] for trace in wave):
            sharers = _at_once(max(wave, key=lambda trace: execution.moved[trace]), sharers, interval, alone)
        if not first:
            turns = _meetings(execution, chip, costs(sharers)[0], interval)
        for trace in wave:
            idle, core = heapq.heappop(free)
            start = max(start, idle + overhead) + interval
            if waits[trace]:
                before = _later(turns, -start)
                after = dict(before)
                timeline = spent(trace, sharers, after)
                turns = _later(after, start)
                run = Run(trace, costs(sharers), timeline, before, start)
            else:
                run = alone(trace, sharers)._replace(start=start)
            cores[core].append(run)
            heapq.heappush(free, (run.end, core))
    return cores


def _later(turns: dict, cycles: float) -> dict:
    return {key: at + cycles for key, at in turns.items()}


def _meetings(execution: Execution, chip: Chip, costs: Costs, interval: float) -> dict:
    """When programs, started one every ``interval`` cycles, may go on at each barrier of all cores, in the form of
    `schedule`'s turns and since the first of them started.

    Raises:
        Deadlock: there are more or fewer programs than cores.
    """
    meetings: dict = {}
    for event in (event for event in execution.traces[execution.programs[0]] if isinstance(event, Meet)):
        if len(execution.programs) != chip.vector_cores:
            raise Deadlock(
                f"{event.op!r} waits for all {chip.vector_cores} vector cores of {chip.name}, and "
                f"{len(execution.programs)} programs do not fill them"
            )
        come = dict(meetings)
        last = {trace: number * interval for number, trace in enumerate(execution.programs)}
        for trace, start in last.items():
            own = _later(meetings, -start)
            schedule(execution.traces[trace], costs, turns=own)
            come |= {key: max(at, come.get(key, at)) for key, at in _later(own, start).items()}
        meetings |= {(Meet, *key[1:]): at for key, at in come.items() if key[0] is Arrive}
    return meetings


def _sharers(moved: Sequence[int], most: int) -> float:
    """How many cores that move the ``most`` of these bytes would move all of them."""
    return sum(moved) / most if any(moved) else 1.0


def together(timelines: Sequence[Timeline], kinds: tuple[str, ...]) -> Timeline:
    """The time of a program on all its cores, as if they were one."""
    if len(timelines) == 1:
        return timelines[0]
    spent = zip(labels(kinds), timelines, strict=True)
    busy = {label: time for names, one in spent for label, time in zip(names, one.busy.values(), strict=True)}
    return Timeline(max(one.cycles for one in timelines), busy)


def _at_once(trace: int, sharers: float, interval: float, alone: Callable[[int, float], Run]) -> float:
    """``sharers``, or as many programs as run at once where they end before that many are dispatched."""
    while interval * sharers > (cycles := alone(trace, sharers).timeline.cycles) > 0:
        fewer = max(1.0, cycles / interval)
        if fewer > 0.9 * sharers:
            break
        sharers = fewer
    return sharers


def ends(cores: list[list[Run]]) -> list[float]:
    """Cycles from the launch's first program's start until each core has run its programs."""
    return [core[-1].end for core in cores]


def start_us(execution: Execution, chip: Chip) -> float:
    """Device time of a launch before its first program; more where cube and vector cores start."""
    return chip.start_us(1) + (chip.cube["mixed_us"] if len(execution.kinds) > 1 else 0.0)


def timed(execution: Execution, chip: Chip, hazards: tuple[Hazard, ...] | None = None) -> Simulation:
    """Place the programs on the chip's cores, in waves, and time each distinct trace."""
    cores = placed(execution, chip)
    after = ends(cores)
    cycles = max(after)
    last = after.index(cycles)
    return Simulation(
        cycles,
        cycles / chip.frequency * 1e6 + start_us(execution, chip),
        {pipe: sum(run.timeline.busy[pipe] for run in cores[last]) for pipe in cores[last][0].timeline.busy},
        execution.bytes_read,
        execution.bytes_written,
        execution.ub_peak_bytes,
        chip,
        execution,
        hazards,
    )
