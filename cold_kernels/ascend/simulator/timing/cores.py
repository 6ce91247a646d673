"""The time of an executed launch: its programs placed on a chip's cores, in waves."""

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

from ...chips import Chip, chip_named
from ...errors import Deadlock
from ..hazards.hazard import Hazard
from ..trace.events import Arrive, Lock, Meet
from ..trace.execution import Execution
from ..trace.work import PIPES
from .timeline import Costs, Timeline, schedule


@dataclass(frozen=True)
class Simulation:
    """A simulated launch. Times are modelled from the chip's constants, never measured.

    Args:
        cycles: Core cycles from the first program's start to the last one's end.
        microseconds: The same as time, plus what it costs to launch and to start the cores.
        pipes: Busy cycles by pipe (S, V, MTE2, MTE3) of the core that finishes last.
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
    def bound(self) -> str:
        """The busiest pipe of the core that finishes last."""
        return max(PIPES, key=lambda pipe: self.pipes[pipe])


class Run(NamedTuple):
    """One program on its core: its trace, the chip's costs for it, and its time.

    ``turns`` is when others let it go on (see `schedule`), None if it waits for none.
    """

    trace: int
    costs: Costs
    timeline: Timeline
    turns: dict | None = None


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
    """For each core that has any, its programs one after the other, each distinct one timed once.

    The cores of a wave share the bandwidth of global memory by what they copy: forty cores with the same amount
    get a fortieth each, one core beside others that copy next to nothing gets nearly all.
    """
    bandwidth, hits = traffic(execution, chip)

    @functools.cache
    def costs(sharers: float) -> Costs:
        return Costs(chip, bandwidth / sharers / chip.frequency, hits)

    @functools.cache
    def alone(trace: int, sharers: float) -> Run:
        return Run(trace, costs(sharers), schedule(execution.traces[trace], costs(sharers)))

    waits = [any(isinstance(event, Lock | Meet) for event in trace) for trace in execution.traces]
    cores: list[list[Run]] = [[] for _ in range(min(chip.vector_cores, len(execution.programs)))]
    for first in range(0, len(execution.programs), chip.vector_cores):
        wave = execution.programs[first : first + chip.vector_cores]
        moved = [execution.moved[trace] for trace in wave]
        sharers = sum(moved) / max(moved) if any(moved) else 1.0
        turns = _meetings(execution, chip, costs(sharers))
        for core, trace in zip(cores, wave, strict=False):
            if waits[trace]:
                before = dict(turns)
                timeline = schedule(execution.traces[trace], costs(sharers), turns=turns)
                core.append(Run(trace, costs(sharers), timeline, before))
            else:
                core.append(alone(trace, sharers))
    return cores


def _meetings(execution: Execution, chip: Chip, costs: Costs) -> dict:
    """When programs may go on at each barrier of all cores, in the form of `schedule`'s turns.

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
        for trace in execution.traces:
            schedule(trace, costs, turns=come)
        meetings |= {(Meet, *key[1:]): at for key, at in come.items() if key[0] is Arrive}
    return meetings


def ends(cores: list[list[Run]]) -> list[float]:
    """Cycles until each core has run its programs; the launch's are the largest."""
    return [sum(run.timeline.cycles for run in core) for core in cores]


def timed(execution: Execution, chip: Chip, hazards: tuple[Hazard, ...] | None = None) -> Simulation:
    """Place the programs on the chip's cores, in waves, and time each distinct trace."""
    cores = placed(execution, chip)
    after = ends(cores)
    cycles = max(after)
    last = after.index(cycles)
    return Simulation(
        cycles,
        cycles / chip.frequency * 1e6 + chip.start_us(len(execution.programs)),
        {pipe: sum(run.timeline.busy[pipe] for run in cores[last]) for pipe in PIPES},
        execution.bytes_read,
        execution.bytes_written,
        execution.ub_peak_bytes,
        chip,
        execution,
        hazards,
    )
