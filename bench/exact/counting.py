"""What simulated launches did, in counts that follow from the compiled programs alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cold_kernels.ascend.simulator.timing.cores import Execution, Simulation
from cold_kernels.ascend.simulator.trace.work import (
    BARRIER,
    ISSUE,
    LOAD,
    PIPES,
    SCALAR,
    SCALAR_ACCESS,
    SCALAR_WORK,
    SET_FLAG,
    VECTOR,
    WAIT_FLAG,
)

SMALL_COPY = 16 * 1024
"""Bytes; AscendC's guide wants copies of at least so many, to use the bandwidth of global memory."""
BY_SCALAR_UNIT = ("scalar_local", "scalar_global")
PLACES = GLOBAL, LOCAL = "global memory", "unified buffer"
OPERATION, FULL_BARRIER, BUFFERS = "operation", "full barrier", "no free buffer"


def facts(launches: Sequence[Simulation], minimal_bytes: int) -> dict[str, Any]:
    """The facts of one kernel call, of all programs of its launches together.

    - *launches*, *programs*;
    - *bytes moved* from and to global memory, *minimal bytes* that must be, and the one *over* the other;
    - *copies* from and to global memory, and those *under 16 KB*;
    - *round trips*, *drains*: `round_trips` and `drains`;
    - *scalar accesses*: single elements that the scalar unit reads or writes, by where they lie;
    - *UB bytes*: the highest planned byte of the unified buffer;
    - *instructions* by pipe, *vector repeats* of 256 bytes, *synchronisation* (flags set and waited for, barriers):
      `instructions`;
    - *simulated cycles* of the launches one after the other, on the chip that they were timed on; no launch cost.
    """
    moved = sum(run.bytes_read + run.bytes_written for run in launches)
    counts: Counter = Counter()
    for run in launches:
        for trace, times in _often(run.execution):
            for name, count in _of_program(trace).items():
                counts[name] += times * count
    return {
        "launches": len(launches),
        "programs": sum(len(run.execution.programs) for run in launches),
        "bytes moved": moved,
        "minimal bytes": minimal_bytes,
        "bytes moved over minimal": round(moved / minimal_bytes, 4),
        "copies": counts["copies"],
        "copies under 16 KB": counts["small copies"],
        "round trips": counts["round trips"],
        "drains": {kind: counts["drain", kind] for kind in (OPERATION, FULL_BARRIER, BUFFERS)},
        "scalar accesses": {place: counts["access", place] for place in PLACES},
        "UB bytes": max((run.ub_peak_bytes for run in launches), default=0),
        "instructions": {pipe: _whole(counts["instructions", pipe]) for pipe in PIPES},
        "vector repeats": _whole(counts["repeats"]),
        "synchronisation": counts["synchronisation"],
        "simulated cycles": round(sum(run.cycles for run in launches), 2),
    }


def round_trips(trace: Iterable[tuple]) -> int:
    """Times that the scalar unit of one program waits for a result of another pipe before it goes on.

    These are waits of the scalar unit for a flag of the vector pipe, and operations that it does not go past before
    they end (`Work.blocks`): reductions to a number that it reads back, and what it does itself, element by element,
    in the place of the vector pipe or of the copy engine.
    """
    return sum(
        event[0] == WAIT_FLAG and event[1:3] == (VECTOR, SCALAR) or event[0] == ISSUE and event[2].blocks
        for event in trace
    )


def drains(trace: Sequence[tuple]) -> dict[str, int]:
    """Times that copying in cannot run ahead of the vector pipe, in one program, by reason.

    - *operation*: the scalar unit waits, before it issues an operation, until the vector pipe is idle
      (`Work.drains`), so that no copy behind it starts earlier;
    - *full barrier*: a barrier of all pipes with an operation after it, which excepts the one that ends a program;
    - *no free buffer*: loads before which the load pipe has waited for the last flag of the vector or of the store
      pipe that was up. All buffers that such flags stand for are then full or unused, as at the end of a loop that
      gives them all back, or on every turn where there is one buffer alone. A flag that was set before the program's
      first load holds nothing back, and does not count.
    """
    counts = dict.fromkeys((OPERATION, FULL_BARRIER, BUFFERS), 0)
    last = max((place for place, event in enumerate(trace) if event[0] == ISSUE), default=-1)
    up: dict[str, dict[int, bool]] = {}
    loaded = empty = False
    for place, event in enumerate(trace):
        kind = event[0]
        if kind == ISSUE:
            counts[OPERATION] += event[2].drains
            if event[2].pipe == LOAD:
                counts[BUFFERS] += empty
                loaded, empty = True, False
        elif kind == BARRIER:
            counts[FULL_BARRIER] += event[1] == "ALL" and place < last
        elif kind == SET_FLAG and event[2] == LOAD:
            up.setdefault(event[1], {})[event[3]] = loaded
        elif kind == WAIT_FLAG and event[2] == LOAD:
            flags = up.get(event[1], {})
            empty |= flags.pop(event[3], False) and not flags
    return counts


def instructions(trace: Iterable[tuple]) -> Counter:
    """Instructions of one program by pipe, the accesses among them, vector repeats, and what synchronises.

    Vector instructions and copies are those that the device library makes of an operation; what it does on the scalar
    unit instead counts there, an access each.
    """
    counts: Counter = Counter()
    for event in trace:
        kind = event[0]
        if kind == ISSUE:
            for name, times in event[2].counts:
                if name in BY_SCALAR_UNIT:
                    counts["instructions", SCALAR] += times
                elif name.endswith("_issue"):
                    counts["instructions", event[2].pipe] += times
                elif name.startswith("repeat_"):
                    counts["repeats"] += times
        elif kind == SCALAR_WORK:
            counts["instructions", SCALAR] += event[1]
        elif kind == SCALAR_ACCESS:
            counts["instructions", SCALAR] += event[2]
            counts["access", LOCAL if event[1] else GLOBAL] += event[2]
        elif kind in (SET_FLAG, WAIT_FLAG, BARRIER):
            counts["synchronisation"] += 1
    return counts


def _of_program(trace: tuple) -> Counter:
    copies = [event[2].global_bytes for event in trace if event[0] == ISSUE and event[2].global_bytes]
    counts = instructions(trace)
    counts["copies"], counts["small copies"] = len(copies), sum(size < SMALL_COPY for size in copies)
    counts["round trips"] = round_trips(trace)
    counts |= Counter({("drain", kind): count for kind, count in drains(trace).items()})
    return counts


def _often(execution: Execution) -> Iterable[tuple[tuple, int]]:
    return ((execution.traces[number], times) for number, times in Counter(execution.programs).items())


def _whole(count: float) -> int | float:
    return int(count) if count == int(count) else round(count, 2)
