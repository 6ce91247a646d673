"""What simulated launches did, in counts that follow from the compiled programs alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cold_kernels.ascend.simulator.timing.cores import Simulation
from cold_kernels.ascend.simulator.trace.events import (
    ALL,
    Barrier,
    Event,
    Issue,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    Trace,
    WaitFlag,
)
from cold_kernels.ascend.simulator.trace.execution import Execution
from cold_kernels.ascend.simulator.trace.work import LOAD, PIPES, SCALAR, VECTOR

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
    - *simulated cycles* of the launches one after the other, on the chip that they were timed on: device time from
      the start of each one's first program.
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


def round_trips(trace: Iterable[Event]) -> int:
    """Times that the scalar unit of one program waits for a result of another pipe before it goes on.

    These are waits of the scalar unit for a flag of the vector pipe, and operations that it does not go past before
    they end (`Work.blocks`): reductions to a number that it reads back, and what it does itself, element by element,
    in the place of the vector pipe or of the copy engine.
    """
    return sum(
        event.work.blocks
        if isinstance(event, Issue)
        else isinstance(event, WaitFlag) and (event.flag.source, event.flag.waiting) == (VECTOR, SCALAR)
        for event in trace
    )


def drains(trace: Trace) -> dict[str, int]:
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
    last = max((place for place, event in enumerate(trace) if isinstance(event, Issue)), default=-1)
    up: dict[str, dict[int, bool]] = {}
    loaded = empty = False
    for place, event in enumerate(trace):
        if isinstance(event, Issue):
            counts[OPERATION] += event.work.drains
            if event.work.pipe == LOAD:
                counts[BUFFERS] += empty
                loaded, empty = True, False
        elif isinstance(event, Barrier):
            counts[FULL_BARRIER] += event.pipe == ALL and place < last
        elif isinstance(event, SetFlag) and event.flag.waiting == LOAD:
            up.setdefault(event.flag.source, {})[event.flag.event] = loaded
        elif isinstance(event, WaitFlag) and event.flag.waiting == LOAD:
            flags = up.get(event.flag.source, {})
            empty |= flags.pop(event.flag.event, False) and not flags
    return counts


def instructions(trace: Iterable[Event]) -> Counter:
    """Instructions of one program by pipe, the accesses among them, vector repeats, and what synchronises.

    Vector instructions and copies are those that the device library makes of an operation; what it does on the scalar
    unit instead counts there, an access each.
    """
    counts: Counter = Counter()
    for event in trace:
        if isinstance(event, Issue):
            for name, times in event.work.counts:
                if name in BY_SCALAR_UNIT:
                    counts["instructions", SCALAR] += times
                elif name.endswith("_issue"):
                    counts["instructions", event.work.pipe] += times
                elif name.startswith("repeat_"):
                    counts["repeats"] += times
        elif isinstance(event, ScalarWork):
            counts["instructions", SCALAR] += event.count
        elif isinstance(event, ScalarAccess):
            counts["instructions", SCALAR] += event.count
            counts["access", LOCAL if event.local else GLOBAL] += event.count
        elif isinstance(event, SetFlag | WaitFlag | Barrier):
            counts["synchronisation"] += 1
    return counts


def _of_program(trace: Trace) -> Counter:
    copies = [e.work.global_bytes for e in trace if isinstance(e, Issue) and e.work.global_bytes]
    counts = instructions(trace)
    counts["copies"], counts["small copies"] = len(copies), sum(size < SMALL_COPY for size in copies)
    counts["round trips"] = round_trips(trace)
    counts |= Counter({("drain", kind): count for kind, count in drains(trace).items()})
    return counts


def _often(execution: Execution) -> Iterable[tuple[Trace, int]]:
    return ((execution.traces[number], times) for number, times in Counter(execution.programs).items())


def _whole(count: float) -> int | float:
    return int(count) if count == int(count) else round(count, 2)
