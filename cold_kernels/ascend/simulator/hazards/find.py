"""Hazards of a launch, found from what its programs touched."""

from collections.abc import Callable, Sequence

import numpy as np

from ...chips import chip_named
from ...program import Program
from ..core.addresses import FindMemory
from ..core.strays import OTHER_STRAY, STRAY, Strays
from ..execute.launch import GridLaunch
from ..trace.events import Meet, Trace
from ..trace.pipes import labels, numbers
from .buffer import Unwritten, races, unwritten
from .hazard import BARRIER, OUTSIDE, UNWRITTEN, Found, Hazard
from .order import moments
from .poison import WAYS, Poisoner
from .recorder import Recorder, turns
from .tensors import conflicts


def find_hazards(
    program: Program, args: Sequence, grid: Sequence[int], *, memory: FindMemory | None = None
) -> tuple[Hazard, ...]:
    """What a device may do otherwise than the program means, on these arguments; they are left alone.

    Args:
        memory: As `simulate`'s.

    Raises:
        UnsupportedProgram, OutOfBounds, ValueError: as `simulate`.
    """
    launch = GridLaunch(program, grid, memory)
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

    reads, strays = [reads for *_, reads in programs], launch.core.strays
    if any(reads) or strays.found:
        outcome = traces, recorder.undo.contents()

        def matters(reads: Sequence[Sequence[Unwritten]]) -> bool:
            """Whether the launch comes out otherwise with other bytes at these reads."""
            return any(_again(launch, args, Poisoner(launch.core, reads, *way)) != outcome for way in WAYS)

        recorder.undo.back()
        if strays.found:
            if _again(launch, args, Poisoner(launch.core, (), 0, False), stray=OTHER_STRAY) != outcome:
                raise strays.error()
            _outside(strays, found)
        if any(reads):
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


def _outside(strays: Strays, found: Found) -> None:
    for op, message, program, does in strays.found.values():
        text = f"{message}: a device {does}, or stops where nothing is; nothing depends on it here"
        found.add(OUTSIDE, text, op, program=program)


def _again(launch: GridLaunch, args: Sequence, observer: Poisoner, stray: int = STRAY) -> tuple:
    """What comes of a launch, which is then taken back."""
    try:
        return launch.run_once(args, observer, stray=stray), observer.undo.contents()
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
