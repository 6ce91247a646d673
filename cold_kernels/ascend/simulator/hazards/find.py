"""Hazards of a launch, found from what its programs touched."""

from collections.abc import Callable, Sequence

import numpy as np

from ..binding import contents, detached
from ..launch import Launch
from .buffer import Unwritten, races, unwritten
from .hazard import UNWRITTEN, Found, Hazard
from .order import moments
from .poison import Poisoner, differs
from .recorder import Recorder, turns
from .tensors import conflicts


def find(launch: Launch, args: Sequence) -> tuple[list[tuple], tuple[Hazard, ...]]:
    """Run a launch, and return its programs' traces and its hazards.

    Args:
        launch: Held.
        args: Written by the first run; others, if they are needed, work on copies.
    """
    before, found, recorder = detached(args), Found(), Recorder(launch.core)
    traces = launch.run(args, recorder)
    known: dict[tuple, tuple] = {}
    programs = []
    for number, trace in enumerate(traces):
        accesses = recorder.locals[number]
        key = trace, tuple(accesses)
        if key not in known:
            when = moments(trace, found, number)
            races(accesses, when, found, number)
            known[key] = when, turns(trace), unwritten(accesses)
        programs.append(known[key])
    conflicts(recorder.globals, [order for *order, _ in programs], found)

    def outcome(reads: Sequence, pattern: int) -> tuple:
        arguments = detached(before)
        return launch.run(arguments, Poisoner(launch.core, reads, pattern)), contents(arguments)

    _judge([reads for *_, reads in programs], outcome, found)
    return traces, found.all()


def _judge(reads: Sequence[Sequence[Unwritten]], outcome: Callable, found: Found) -> None:
    """Report the reads of what was not written on which the result depends: loads under a mask leave such bytes, and
    whoever computes with them and then throws the result away does no harm."""
    if not any(reads) or not differs(reads, outcome):
        return
    ops = dict.fromkeys(read.access.op for program in reads for read in program)
    guilty = [op for op in ops if differs([[r for r in program if r.access.op is op] for program in reads], outcome)]
    for number, program in enumerate(reads):
        for access, region, mask in program:
            if access.op in (guilty or ops):
                first = region.starts()[0] + int(np.argmax(mask.reshape(-1, region.run)[0]))
                message = f"{access.op!r} reads {region.allocation.name} at byte {first}, which nothing has written "
                found.add(UNWRITTEN, message + "through it, and the result depends on that", access.op, program=number)
