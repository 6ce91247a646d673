"""Hazards of a launch, found from what its programs touched."""

from collections.abc import Callable, Sequence

import numpy as np

from ...chips import chip_named
from ...program import Program
from ..execute.launch import GridLaunch
from ..trace.events import Meet, Trace
from ..trace.pipes import labels, numbers
from .buffer import Unwritten, races, unwritten
from .hazard import BARRIER, UNWRITTEN, Found, Hazard
from .order import moments
from .poison import WAYS, Poisoner
from .recorder import Recorder, turns
from .tensors import conflicts


def find_hazards(program: Program, args: Sequence, grid: Sequence[int]) -> tuple[Hazard, ...]:
    """What a device may do otherwise than the program means, on these arguments; they are left alone.

    Raises:
        UnsupportedProgram, OutOfBounds, ValueError: as `simulate`.
    """
    launch = GridLaunch(program, grid)
    with launch.held():
        return find(launch, args, values=False)[1]


def find(launch: GridLaunch, args: Sequence, values: bool) -> tuple[list[Trace], tuple[Hazard, ...]]:
    """Run a launch, and return its programs' traces and its hazards.

    Args:
        launch: Held.
        args: Written as the launch does, or left as they were if ``values`` is False.
    """
    found, recorder = Found(), Recorder(launch.core)
    try:
        traces = launch.run(args, recorder)
    except BaseException:
        if not values:
            recorder.undo.back()
        raise
    known: dict[tuple, tuple] = {}
    pipes = [
        dict(zip(numbered.values(), names, strict=True))
        for numbered, names in zip(numbers(launch.kinds), labels(launch.kinds), strict=True)
    ]
    programs = []
    for number, trace in enumerate(traces):
        accesses = recorder.locals[number]
        key = trace, tuple(accesses)
        if key not in known:
            when = moments(trace, found, number, launch.kinds)
            for core in pipes:
                races(accesses, when, found, number, core)
            known[key] = when, turns(trace), unwritten(accesses)
        programs.append(known[key])
    _barriers(launch, traces, found)
    conflicts(recorder.globals, [order for *order, _ in programs], found)

    reads = [reads for *_, reads in programs]
    if any(reads):
        outcome = traces, recorder.undo.contents()

        def matters(reads: Sequence[Sequence[Unwritten]]) -> bool:
            """Whether the launch comes out otherwise with other bytes at these reads."""
            return any(_again(launch, args, Poisoner(launch.core, reads, *way)) != outcome for way in WAYS)

        recorder.undo.back()
        _report(reads, matters, found)
        if values:
            launch.run(args)
    elif not values:
        recorder.undo.back()
    return traces, found.all()


def _barriers(launch: GridLaunch, traces: Sequence[Trace], found: Found) -> None:
    chip = chip_named(launch.program.chip)
    for event in (event for trace in traces for event in trace if isinstance(event, Meet)):
        if len(traces) != chip.vector_cores:
            message = f"{event.op!r} waits for all {chip.vector_cores} vector cores of {chip.name}, and {len(traces)} "
            found.add(BARRIER, message + "programs do not fill them: it hangs", event.op)


def _again(launch: GridLaunch, args: Sequence, observer: Poisoner) -> tuple:
    """What comes of a launch, which is then taken back."""
    try:
        return launch.run(args, observer), observer.undo.contents()
    finally:
        observer.undo.back()


def _report(reads: Sequence[Sequence[Unwritten]], matters: Callable[..., bool], found: Found) -> None:
    """Report the reads of what was not written on which the result depends: loads under a mask leave such bytes, and
    whoever computes with them and then throws the result away does no harm."""
    if not matters(reads):
        return
    ops = dict.fromkeys(read.access.op for program in reads for read in program)
    guilty = [op for op in ops if matters([[r for r in program if r.access.op is op] for program in reads])]
    for number, program in enumerate(reads):
        for access, region, mask in program:
            if access.op in (guilty or ops):
                run, byte = divmod(int(np.argmax(mask)), region.run)
                byte += region.starts()[run]
                message = f"{access.op!r} reads {region.allocation.name} at byte {byte}, which nothing has written "
                found.add(UNWRITTEN, message + "through it, and the result depends on that", access.op, program=number)
