"""What a part of a launch costs: the same launch timed again as if that part were another, or were not there."""

from collections.abc import Callable
from dataclasses import replace

from ..timing.cores import Simulation, timed
from ..timing.costs import BY_SCALAR_UNIT
from ..trace.events import Event, Issue
from ..trace.work import work

Change = Callable[[Event], Event | None]
"""What stands in an event's place; None for nothing."""


def saved(simulation: Simulation, change: Change) -> float:
    """By how many cycles the launch is shorter with its events changed; 0 where it is not.

    What runs beside the changed events and takes as long hides them, so that the parts of a launch do not add up. The
    bytes that its programs ask global memory for, and with them each core's share of bandwidth, stay as they were.
    """
    execution = simulation.execution
    traces = tuple(tuple(event for event in map(change, trace) if event is not None) for trace in execution.traces)
    return max(0.0, simulation.cycles - timed(replace(execution, traces=traces), simulation.chip).cycles)


def without_scalar_unit(event: Issue) -> Issue:
    """The operation as if the scalar unit's part of it took no time; what it moves still takes its bandwidth."""
    counts = tuple((name, times) for name, times in event.work.counts if name not in BY_SCALAR_UNIT)
    return Issue(work(event.work.pipe, counts, event.work.global_bytes), event.op)
