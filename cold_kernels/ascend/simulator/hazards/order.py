"""Which instructions of a program are complete before which others start, whatever the pipes' speeds.

The scalar unit issues in order and each pipe starts in order, but an instruction is known to be complete only by a flag
that was set behind it, a barrier, or the scalar unit's own waiting (AscendC, SetFlag/WaitFlag and PipeBarrier).
"""

from collections.abc import Iterable
from typing import NamedTuple

from ..core.counters import CUBE
from ..trace.events import (
    ALL,
    Arrive,
    Barrier,
    Event,
    FlagId,
    Issue,
    ScalarAccess,
    ScalarWork,
    SetCounter,
    SetFlag,
    Turn,
    Unlock,
    WaitCounter,
    WaitFlag,
)
from ..trace.pipes import numbers
from ..trace.work import MULTIPLY, SCALAR, VECTOR
from .group_order import GroupOrder
from .hazard import FLAG, Found


class Moment(NamedTuple):
    """When an instruction starts.

    Args:
        pipe: The number of its pipe (`pipes.numbers`).
        index: How many instructions the pipe was given before it.
        complete: For each pipe, how many of its instructions are complete by then.
    """

    pipe: int
    index: int
    complete: tuple[int, ...]

    def after(self, other: "Moment") -> bool:
        """Whether the other instruction of the same program is complete when this one starts."""
        return self.complete[other.pipe] > other.index


def moments(trace: Iterable[Event], found: Found, program: int, kinds: tuple[str, ...] = ("AIV",)) -> dict[int, Moment]:
    """The moment of each instruction, scalar access and arrival at a barrier of all cores, by its place in the trace.

    Flags that do not pair are reported to ``found``. ``kinds`` are those of the cores that the program runs on.
    """
    of_cores = numbers(kinds)
    every = range(sum(map(len, of_cores)))
    given = [0 for _ in every]
    complete = [[0 for _ in every] for _ in every]
    flags: dict[tuple[int, FlagId], tuple[list[int], object]] = {}
    result: dict[int, Moment] = {}
    group = GroupOrder(len(kinds), found, program)
    core, number = CUBE, of_cores[CUBE]
    pipes, scalar, vector = number.values(), number[SCALAR], number.get(VECTOR)

    def learn(pipe: int, *others: list[int]) -> list[int]:
        for other in others:
            complete[pipe] = list(map(max, complete[pipe], other))
        return complete[pipe]

    for place, event in enumerate(trace):
        kind = type(event)
        if kind is Issue:
            work = event.work
            pipe = number[work.pipe]
            if work.drains:
                learn(scalar, complete[vector])[vector] = given[vector]
            known = learn(pipe, complete[scalar])
            if work.blocks or work.pipe == MULTIPLY:
                # By the scalar unit itself, behind what its pipe was given before; multiplications take turns, since
                # the library has a barrier behind each of so few blocks that they could meet (Cube/LocalMmad.cpp).
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
            if (core, flag) in flags:
                found.add(FLAG, f"{operation!r} sets {flag} twice with no wait between", operation, program=program)
            source = number[flag.source]
            known = list(learn(source, complete[scalar]))
            known[source] = given[source]
            flags[core, flag] = known, operation
        elif kind is WaitFlag:
            flag, operation = event.flag, event.op
            if (core, flag) not in flags:
                message = f"{operation!r} waits for {flag}, which nothing has set: it hangs"
                found.add(FLAG, message, operation, program=program)
                continue
            known, _ = flags.pop((core, flag))
            learn(number[flag.waiting], known)
        elif kind is Arrive:
            pipe = number[event.pipe]
            known = learn(pipe, complete[scalar])
            result[place] = Moment(pipe, given[pipe], tuple(known[:pipe] + [given[pipe]] + known[pipe + 1 :]))
        elif kind is Unlock or (kind is Barrier and event.pipe == ALL):
            for pipe in pipes:
                learn(scalar, complete[pipe])
            complete[scalar] = [given[pipe] if pipe in pipes else seen for pipe, seen in enumerate(complete[scalar])]
        elif kind is Barrier:
            pipe = number[event.pipe]
            learn(pipe, complete[scalar])[pipe] = given[pipe]
        elif kind is Turn:
            core, number = event.core, of_cores[event.core]
            pipes, scalar, vector = number.values(), number[SCALAR], number.get(VECTOR)
        elif kind is SetCounter:
            pipe = number[event.pipe]
            known = list(learn(pipe, complete[scalar]))
            known[pipe] = given[pipe]
            group.set(core, event, known)
        elif kind is WaitCounter:
            learn(scalar, *group.wait(core, event))  # what is issued behind it waits on every pipe
    group.end()
    for (_, flag), (_, operation) in flags.items():
        message = f"nothing waits for {flag}, which {operation!r} sets: the next launch hangs"
        found.add(FLAG, message, operation, program=program)
    return result
