"""Where the cycles of a simulated launch go, on the core that finishes last."""

from collections import defaultdict
from dataclasses import dataclass

from ..core.operations import UNKNOWN_PLACE
from ..timing.cores import Run, Simulation, ends, placed
from .critical import critical_path
from .recording import GroupRecording, Recording, recorded
from .stalls import Cause

NEXT_PROGRAM = Cause("program")


@dataclass(frozen=True)
class Profile:
    """The cycles of one core, or of a group's cores: for each pipe, ``busy + sum of stalled + idle == cycles``.

    Args:
        core: Its number, or the group's.
        pipes: What its pipes are called.
        cycles: From the start of the launch's first program to the end of the core's last one.
        busy: Cycles of work by pipe. In `Simulation.pipes` a copy that waits for bandwidth is busy; here it stalls.
        stalled: Cycles by pipe and cause.
        idle: Cycles after the pipe's last work of the last program.
        lines: ``{file:line: {pipe: (busy, stalled)}}`` of the Triton source; a stall counts where what waits stands.
            What the compiler added without a line is in ``UNKNOWN_PLACE``, so that the lines add up to ``busy``.
        critical: ``{(kind, pipe, file:line): cycles}`` of the critical path's `PathStep`s; they add up to ``cycles``.
        worked: For each core of the launch, the cycles of its programs; what passes before one is dispatched is not in.
        programs: Its programs one after the other: when each starts, and its recording.
    """

    core: int
    pipes: tuple[str, ...]
    cycles: float
    busy: dict[str, float]
    stalled: dict[str, dict[Cause, float]]
    idle: dict[str, float]
    lines: dict[str, dict[str, tuple[float, float]]]
    critical: dict[tuple[str, str, str], float]
    worked: tuple[float, ...]
    programs: tuple[tuple[float, Recording | GroupRecording], ...]

    @property
    def longest(self) -> int:
        """Which of its programs takes longest, the first of equals."""
        return max(range(len(self.programs)), key=lambda number: self.programs[number][1].total)


def profile(simulation: Simulation, core: int | None = None) -> Profile:
    """The profile of ``core``, by default of the one that finishes last.

    Raises:
        ValueError: the launch has no such core.
    """
    cores = placed(simulation.execution, simulation.chip)
    after = ends(cores)
    if core is not None and not 0 <= core < len(cores):
        raise ValueError(f"core {core}: the launch is on cores 0 to {len(cores) - 1}")
    chosen = after.index(max(after)) if core is None else core
    worked = tuple(sum(run.timeline.cycles for run in runs) for runs in cores)
    return _profile(simulation, chosen, cores[chosen], worked)


def alike(simulation: Simulation) -> list[list[int]]:
    """The launch's cores in groups with the same timeline, the group of the one that finishes last first."""
    cores = placed(simulation.execution, simulation.chip)
    after = ends(cores)
    last = after.index(max(after))
    groups: dict[tuple, list[int]] = {}
    for number, runs in enumerate(cores):
        groups.setdefault(tuple(_distinct(simulation, run) for run in runs), []).append(number)
    return sorted(groups.values(), key=lambda numbers: last not in numbers)


def _profile(simulation: Simulation, core: int, runs: list[Run], worked: tuple[float, ...]) -> Profile:
    recordings: dict[tuple, Recording | GroupRecording] = {}
    keys = [(run.trace, id(run.costs), *([] if run.turns is None else [id(run)])) for run in runs]
    programs = []
    for run, key in zip(runs, keys, strict=True):
        if key not in recordings:
            recordings[key] = _recorded(simulation, run)
        programs.append((run.start, recordings[key]))
    cycles = runs[-1].end
    pipes = programs[0][1].pipes
    busy = dict.fromkeys(pipes, 0.0)
    stalled: dict[str, dict[Cause, float]] = {pipe: defaultdict(float) for pipe in pipes}
    idle = dict.fromkeys(pipes, 0.0)
    lines: dict[str, dict[str, list[float]]] = defaultdict(lambda: {pipe: [0.0, 0.0] for pipe in pipes})
    critical: dict[tuple[str, str, str], float] = defaultdict(float)
    paths = {key: critical_path(recording) for key, recording in recordings.items()}
    for key in keys:
        for step in paths[key]:
            critical[step.kind, step.pipe, step.line] += step.end - step.start
    gaps = cycles - sum(recording.total for _, recording in programs)
    if gaps > 0:
        critical["dispatch", pipes[0], UNKNOWN_PLACE] += gaps
    for number, (start, recording) in enumerate(programs):
        for part in recording.slices:
            busy[part.pipe] += part.busy
            lines[part.line][part.pipe][0] += part.busy
        for stall in recording.stalls:
            stalled[stall.pipe][stall.cause] += stall.end - stall.start
            lines[stall.cause.line][stall.pipe][1] += stall.end - stall.start
        last = number == len(programs) - 1
        until = cycles if last else programs[number + 1][0]
        for pipe in pipes:
            if start and not number:
                stalled[pipe][NEXT_PROGRAM] += start
            rest = until - start - recording.ends[pipe]
            if last:
                idle[pipe] = rest
            elif rest > 0:
                stalled[pipe][NEXT_PROGRAM] += rest
    return Profile(
        core,
        pipes,
        cycles,
        busy,
        {pipe: dict(sorted(causes.items(), key=lambda item: -item[1])) for pipe, causes in stalled.items()},
        idle,
        {line: {pipe: tuple(spent) for pipe, spent in by_pipe.items()} for line, by_pipe in lines.items()},
        dict(sorted(critical.items(), key=lambda item: -item[1])),
        worked,
        tuple(programs),
    )


def _distinct(simulation: Simulation, run: Run) -> tuple:
    """What is equal for equal timelines; a program that waits for others may wait longer than another like it."""
    waits = () if run.turns is None else tuple(_recorded(simulation, run).stalls)
    return run.trace, id(run.costs), waits


def _recorded(simulation: Simulation, run: Run) -> Recording | GroupRecording:
    execution = simulation.execution
    return recorded(execution.traces[run.trace], run.costs, execution.kinds, dict(run.turns or {}))
