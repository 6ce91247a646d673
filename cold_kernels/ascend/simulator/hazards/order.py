"""Which instructions of a program are complete before which others start, whatever the pipes' speeds.

The scalar unit issues in order and each pipe starts in order, but an instruction is known to be complete only by a flag
that was set behind it, a barrier, or the scalar unit's own waiting (AscendC, SetFlag/WaitFlag and PipeBarrier).
"""

from collections.abc import Iterable
from typing import NamedTuple

from ..trace.events import (
    ALL,
    Arrive,
    Barrier,
    Event,
    FlagId,
    Issue,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    Unlock,
    WaitFlag,
)
from ..trace.work import PIPES, SCALAR, VECTOR
from .hazard import FLAG, Found

NUMBER = {pipe: place for place, pipe in enumerate(PIPES)}


class Moment(NamedTuple):
    """When an instruction starts.

    Args:
        pipe: Its pipe's place in `PIPES`.
        index: How many instructions the pipe was given before it.
        complete: For each pipe, how many of its instructions are complete by then.
    """

    pipe: int
    index: int
    complete: tuple[int, ...]

    def after(self, other: "Moment") -> bool:
        """Whether the other instruction of the same program is complete when this one starts."""
        return self.complete[other.pipe] > other.index


def moments(trace: Iterable[Event], found: Found, program: int) -> dict[int, Moment]:
    """The moment of each instruction, scalar access and arrival at a barrier of all cores, by its place in the trace.

    Flags that do not pair are reported to ``found``.
    """
    pipes = range(len(PIPES))
    given = [0 for _ in pipes]
    complete = [[0 for _ in pipes] for _ in pipes]
    flags: dict[FlagId, tuple[list[int], object]] = {}
    result: dict[int, Moment] = {}
    scalar, vector = NUMBER[SCALAR], NUMBER[VECTOR]

    def learn(pipe: int, *others: list[int]) -> list[int]:
        complete[pipe] = [max(counts) for counts in zip(complete[pipe], *others, strict=True)]
        return complete[pipe]

    for place, event in enumerate(trace):
        kind = type(event)
        if kind is Issue:
            work = event.work
            pipe = NUMBER[work.pipe]
            if work.drains:
                learn(scalar, complete[vector])[vector] = given[vector]
            known = learn(pipe, complete[scalar])
            if work.blocks:  # by the scalar unit itself, behind what its pipe was given before
                known[pipe] = given[pipe]
            result[place] = Moment(pipe, given[pipe], tuple(known))
            given[pipe] += 1
            if work.blocks:
                learn(scalar, known)[pipe] = given[pipe]
        elif kind in (ScalarAccess, ScalarWork):
            if kind is ScalarAccess and event.drains:
                for other in pipes:
                    learn(scalar, complete[other])
                complete[scalar] = list(given)
            result[place] = Moment(scalar, given[scalar], tuple(complete[scalar]))
            given[scalar] += 1
            complete[scalar][scalar] = given[scalar]
        elif kind is SetFlag:
            flag, operation = event.flag, event.op
            if flag in flags:
                found.add(FLAG, f"{operation!r} sets {flag} twice with no wait between", operation, program=program)
            source = NUMBER[flag.source]
            known = list(learn(source, complete[scalar]))
            known[source] = given[source]
            flags[flag] = known, operation
        elif kind is WaitFlag:
            flag, operation = event.flag, event.op
            if flag not in flags:
                message = f"{operation!r} waits for {flag}, which nothing has set: it hangs"
                found.add(FLAG, message, operation, program=program)
                continue
            known, _ = flags.pop(flag)
            learn(NUMBER[flag.waiting], known)
        elif kind is Arrive:
            pipe = NUMBER[event.pipe]
            known = learn(pipe, complete[scalar])
            result[place] = Moment(pipe, given[pipe], tuple(known[:pipe] + [given[pipe]] + known[pipe + 1 :]))
        elif kind is Unlock or (kind is Barrier and event.pipe == ALL):
            for pipe in pipes:
                learn(scalar, complete[pipe])
            complete[scalar] = list(given)
        elif kind is Barrier:
            pipe = NUMBER[event.pipe]
            learn(pipe, complete[scalar])[pipe] = given[pipe]
    for flag, (_, operation) in flags.items():
        message = f"nothing waits for {flag}, which {operation!r} sets: the next launch hangs"
        found.add(FLAG, message, operation, program=program)
    return result
