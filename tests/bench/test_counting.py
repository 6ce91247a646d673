"""What is counted in a trace, on traces of a few events."""

import pytest

pytest.importorskip("xdsl")
from cold_kernels.ascend.simulator.trace.events import (
    ALL,
    Barrier,
    FlagId,
    Issue,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    WaitFlag,
)
from cold_kernels.ascend.simulator.trace.work import LOAD, SCALAR, STORE, VECTOR, work
from tuner.gate.counting import BUFFERS, FULL_BARRIER, OPERATION, drains, instructions, round_trips

LOADED = Issue(work(LOAD, (("load_issue", 1), ("burst", 4)), 4096))
STORED = Issue(work(STORE, (("store_issue", 2),), 64))
ADDED = Issue(work(VECTOR, (("vector_issue", 3), ("repeat_binary", 2.5))))
SUMMED = Issue(work(VECTOR, (("vector_issue", 1), ("repeat_sum", 1)), drains=True))
READ_BACK = Issue(work(VECTOR, (("vector_issue", 1), ("scalar_local", 2)), drains=True, blocks=True))
EVERYTHING = Barrier(ALL)


def flag(kind, source, waiting, event=0):
    return kind(FlagId(source, waiting, event))


def free(event):
    return flag(SetFlag, VECTOR, LOAD, event)


def taken(event):
    return flag(WaitFlag, VECTOR, LOAD, event)


def tiles(count, depth):
    """A loop over tiles with ``depth`` buffers: all of them free, then used in turn, then all given back."""
    turns = [event for tile in range(count) for event in (taken(tile % depth), LOADED, ADDED, free(tile % depth))]
    return [*map(free, range(depth)), *turns, *map(taken, range(depth))]


def buffers(trace):
    return drains(trace)[BUFFERS]


def test_a_wait_of_the_scalar_unit_for_the_vector_pipe_is_a_round_trip():
    there, back = flag(SetFlag, VECTOR, SCALAR), flag(WaitFlag, VECTOR, SCALAR)
    assert round_trips([ADDED, there, back, ADDED, there, back]) == 2
    assert round_trips([LOADED, flag(SetFlag, LOAD, VECTOR), flag(WaitFlag, LOAD, VECTOR), ADDED]) == 0
    assert round_trips([LOADED, flag(SetFlag, LOAD, SCALAR), flag(WaitFlag, LOAD, SCALAR)]) == 0


def test_an_operation_that_blocks_is_a_round_trip():
    assert round_trips([READ_BACK, SUMMED, READ_BACK]) == 2


def test_an_operation_that_waits_for_an_idle_vector_pipe_drains():
    assert drains([SUMMED, ADDED, READ_BACK]) == {OPERATION: 2, FULL_BARRIER: 0, BUFFERS: 0}


def test_the_barrier_at_the_end_of_a_program_is_no_drain():
    ends = flag(WaitFlag, VECTOR, LOAD)
    assert drains([LOADED, EVERYTHING, ADDED, free(0), ends, EVERYTHING])[FULL_BARRIER] == 1
    assert drains([LOADED, Barrier(VECTOR), ADDED])[FULL_BARRIER] == 0
    assert drains([EVERYTHING])[FULL_BARRIER] == 0


def test_two_buffers_in_one_loop_never_drain():
    assert buffers(tiles(9, 2)) == 0


def test_one_buffer_drains_at_every_turn_but_the_first():
    assert buffers(tiles(9, 1)) == 8


def test_each_loop_after_the_first_begins_drained():
    rows = [event for _ in range(4) for event in tiles(9, 3)]
    assert buffers(rows) == 3


def test_a_load_that_waits_for_the_last_store_drains():
    ready, waits = flag(SetFlag, STORE, LOAD), flag(WaitFlag, STORE, LOAD)
    row = [waits, LOADED, ADDED, STORED, ready]
    assert buffers([free(0), free(1), ready, *row, *row, *row, waits, taken(0), taken(1)]) == 2


def test_instructions_by_pipe():
    near, far = ScalarAccess(True, 5), ScalarAccess(False, 2)
    counts = instructions([ScalarWork(7), near, far, LOADED, ADDED, STORED, READ_BACK, free(0), EVERYTHING])
    found = {pipe: counts["instructions", pipe] for pipe in (SCALAR, VECTOR, LOAD, STORE)}
    assert found == {SCALAR: 7 + 5 + 2 + 2, VECTOR: 4, LOAD: 1, STORE: 2}
    assert (counts["access", "unified buffer"], counts["access", "global memory"]) == (5, 2)
    assert (counts["repeats"], counts["synchronisation"]) == (2.5, 2)
