"""Hazards of a launch, found from what its programs touched."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO

import numpy as np

from ...chips import chip_named
from ...program import Program
from ..core.addresses import FindMemory
from ..core.strays import OTHER_STRAY, STRAY, Strays
from ..execute.launch import GridLaunch
from ..trace.events import Meet, Trace
from ..trace.pipes import labels, numbers
from .again import Again
from .buffer import Unwritten, races, unwritten
from .harmless import Written, racing_writes, settle
from .hazard import BARRIER, OUTSIDE, UNWRITTEN, Found, Hazard
from .order import moments
from .pairs import Side
from .poison import WAYS, Spoil, spoilt
from .recorder import Recorder, turns
from .tensors import conflicts


def find_hazards(
    program: Program,
    args: Sequence,
    grid: Sequence[int],
    *,
    memory: FindMemory | None = None,
    severities: bool = True,
) -> tuple[Hazard, ...]:
    """What a device may do otherwise than the program means, on these arguments; they are left alone.

    Args:
        memory: As `simulate`'s.
        severities: Whether to find out which races do no harm, for which the launch runs again; else they are errors.

    Raises:
        UnsupportedProgram, OutOfBounds, ValueError: as `simulate`.
    """
    launch = GridLaunch(program, grid, memory)
    with launch.held():
        return find(launch, args, values=False, severities=severities)[1]


def find(
    launch: GridLaunch, args: Sequence, values: bool, severities: bool = True
) -> tuple[list[Trace], tuple[Hazard, ...]]:
    """Run a launch, and return its programs' traces and its hazards.

    Args:
        launch: Held.
        args: Written as the launch does, or left as they were if ``values`` is False.
        severities: As `find_hazards`'s.
    """
    found, recorder, text = Found(), Recorder(launch.core), StringIO()
    try:
        with redirect_stdout(text):
            traces = launch.run(args, recorder)
    except BaseException:
        if not values:
            recorder.undo.back()
        raise
    finally:
        sys.stdout.write(text.getvalue())
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
            when, own = moments(trace, found, number, launch.kinds), Found()
            for core in pipes:
                races(accesses, when, own, number, core)
            known[key] = when, turns(trace), unwritten(accesses), own
        found.again(known[key][-1], number)
        programs.append(known[key])
    _barriers(launch, traces, found)
    conflicts(recorder.globals, [(when, waits) for when, waits, *_ in programs], found)

    reads, strays = [reads for *_, reads, _ in programs], launch.core.strays
    writes = racing_writes(found) if severities else None
    if any(reads) or strays.found or writes:
        again = Again(launch, args, (traces, recorder.undo.contents(), text.getvalue()))
        recorder.undo.back()
        if strays.found:
            if not again.same((), stray=OTHER_STRAY):
                raise strays.error()
            _outside(strays, found)
        if any(reads):
            reads = _report(reads, again, found)
        if writes:
            written = Written(launch.core, writes)
            again.run(written)

            def same(spoils: Iterable[Spoil], equal: Iterable[Side]) -> bool:
                """Whether it comes out the same with such bytes, reads outside of tensors where it did before, and
                certain writes leave what they left."""
                now = Written(launch.core, equal)
                alike = again.same((*spoils, *spoilt(reads, STRAY)), stray=OTHER_STRAY, watch=now)
                return alike and launch.core.strays.found.keys() <= strays.found.keys() and now.left_alike(written)

            settle(found, written, same)
        if values:
            with redirect_stdout(StringIO()):
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


def _report(reads: list[Sequence[Unwritten]], again: Again, found: Found) -> list[Sequence[Unwritten]]:
    """Report the reads of what was not written on which the result depends, and return the others: loads under a mask
    leave such bytes, and whoever computes with them and then throws the result away does no harm."""

    def matters(reads: Sequence[Sequence[Unwritten]]) -> bool:
        return any(not again.same(spoilt(reads, pattern), apart=apart) for pattern, apart in WAYS)

    if not matters(reads):
        return reads
    ops = dict.fromkeys(read.access.op for program in reads for read in program)
    guilty = [op for op in ops if matters([[r for r in program if r.access.op is op] for program in reads])]
    for number, program in enumerate(reads):
        for access, region, mask in program:
            if access.op in (guilty or ops):
                run, byte = divmod(int(np.argmax(mask)), region.run)
                byte += region.starts()[run]
                message = f"{access.op!r} reads {region.allocation.name} at byte {byte}, which nothing has written "
                found.add(UNWRITTEN, message + "through it, and the result depends on that", access.op, program=number)
    return [[read for read in program if guilty and read.access.op not in guilty] for program in reads]
