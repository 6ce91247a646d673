"""Hazards in programs written by hand: each kind found, with the operations, and what is legal not reported."""

from dataclasses import replace

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
hypothesis = pytest.importorskip("hypothesis")
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.ascend import find_hazards, simulate
from cold_kernels.ascend.simulator import Deadlock, OutOfBounds
from cold_kernels.ascend.simulator.core.memory import Allocation
from cold_kernels.ascend.simulator.core.regions import Region
from cold_kernels.ascend.simulator.hazards.hazard import FLAG, PROGRAMS, RACE, STALE, UNWRITTEN
from tests.ascend.simulator.programs import buffer, constants, hand_written, tensor

N = 64
F32 = "memref<?xf32, <gm>>"
UB = f"memref<{N}xf32, <ub>>"
X, ROW = tensor("x", "%x0", (N,), "f32")
Y, _ = tensor("y", "%x1", (N,), "f32")
START = "".join(buffer(name, 4 * N * place, f"{N}xf32") for place, name in enumerate("abc")) + X + Y


def load(target="a", source="x"):
    segments = "array<i32: 1, 1, 0, 0, 0, 0>"
    return f'"hivm.hir.load"(%{source}, %{target}) <{{operandSegmentSizes = {segments}}}> : ({ROW}, {UB}) -> ()\n'


def add(one="a", other="a", target="b"):
    kind = f"({UB}, {UB}, {UB}) -> ()"
    return f'"hivm.hir.vadd"(%{one}, %{other}, %{target}) <{{operandSegmentSizes = array<i32: 2, 1, 0>}}> : {kind}\n'


def store(source="b", target="y", atomic=False):
    how = " <{atomic_kind = #hivm.atomic_kind<add>}>" if atomic else ""
    return f'"hivm.hir.store"(%{source}, %{target}){how} : ({UB}, {ROW}) -> ()\n'


def flag(which, source, waiting, event=0):
    fields = f"set_pipe = #hivm.pipe<PIPE_{source}>, static_event_id = #hivm.event<EVENT_ID{event}>"
    return f'"hivm.hir.{which}_flag"() <{{{fields}, wait_pipe = #hivm.pipe<PIPE_{waiting}>}}> : () -> ()\n'


def then(source, waiting, event=0):
    return flag("set", source, waiting, event) + flag("wait", source, waiting, event)


def barrier(pipe="ALL"):
    return f'"hivm.hir.pipe_barrier"() <{{pipe = #hivm.pipe<PIPE_{pipe}>}}> : () -> ()\n'


LOADED, ADDED = then("MTE2", "V"), then("V", "MTE3")
RIGHT = load() + LOADED + add() + ADDED + store() + barrier()


def hazards(body, programs=1):
    args = [torch.arange(float(N)), torch.zeros(N)]
    return find_hazards(hand_written(START + body, F32, F32), args, (programs,))


def kinds(body, programs=1):
    return sorted({hazard.kind for hazard in hazards(body, programs)})


@pytest.mark.parametrize(
    "body",
    [
        RIGHT,
        load() + barrier() + add() + barrier() + store(),
        load() + LOADED + add("a", "a", "a") + ADDED + store("a") + barrier(),  # in place
        load() + LOADED + add() + barrier("V") + add("b", "b", "c") + ADDED + store("c") + barrier(),
        load() + LOADED + add("a", "a", "b") + add("a", "a", "c") + ADDED + store() + barrier(),  # both read
        load() + LOADED + add("a", "a", "b") + barrier("V") + add("b", "b", "a") + ADDED + store("a") + barrier(),
        # What V read before it set the flag, MTE2 may write.
        load() + LOADED + add() + then("V", "MTE2") + load() + ADDED + store() + barrier(),
        # Through a third pipe: MTE2 for S, S for V.
        load() + then("MTE2", "S") + then("S", "V") + add() + ADDED + store() + barrier(),
        # Set twice before its waits come, on a pipe that is behind, but a wait after each in the program.
        2 * (load() + LOADED + add() + barrier("V") + then("V", "MTE2")) + ADDED + store() + barrier(),
        load() + LOADED + add() + ADDED + store("b", "y", atomic=True) + barrier(),
    ],
)
def test_what_is_in_order(body):
    assert hazards(body) == ()


@pytest.mark.parametrize(
    ("body", "reading", "writing"),
    [
        (load() + add() + ADDED + store() + barrier(), "vadd", "load"),
        (load() + LOADED + add() + store() + barrier(), "store", "vadd"),
        (load() + LOADED + add() + add("b", "b", "c") + ADDED + store("c") + barrier(), "vadd", "vadd"),
        (load() + LOADED + add("a", "a", "a") + add("a", "a", "b") + ADDED + store() + barrier(), "vadd", "vadd"),
        (RIGHT.replace(barrier(), "") + load("b") + barrier(), "load", "store"),
        (load() + load() + LOADED + add() + ADDED + store() + barrier(), "load", "load"),
        (load() + LOADED + add() + load() + ADDED + store() + barrier(), "load", "vadd"),
        (load() + then("MTE2", "S") + add() + ADDED + store() + barrier(), None, None),
        # The wait is for another event, set before the load.
        (flag("set", "MTE2", "V") + load() + flag("wait", "MTE2", "V") + add() + ADDED + store() + barrier(),
         "vadd", "load"),
        # A barrier of one pipe waits for that pipe alone.
        (load() + barrier("V") + add() + ADDED + store() + barrier(), "vadd", "load"),
    ],
)  # fmt: skip
def test_races(body, reading, writing):
    found = hazards(body)
    if reading is None:  # the scalar unit has waited, and issues in order
        assert found == ()
        return
    races = [hazard for hazard in found if hazard.kind == RACE]
    names = {tuple(operation.split()[0] for operation in hazard.operations) for hazard in races}
    assert (f"hivm.hir.{reading}", f"hivm.hir.{writing}") in names and len(races) == len(found)
    assert "may still be" in str(races[0]) and " at " in str(races[0])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (flag("wait", "V", "MTE2") + RIGHT, "waits for event 0 of V for MTE2, which nothing has set"),
        (flag("set", "V", "MTE2") + RIGHT, "nothing waits for event 0 of V for MTE2"),
        (2 * flag("set", "V", "MTE2", 3) + flag("wait", "V", "MTE2", 3) + RIGHT, "sets event 3 of V for MTE2 twice"),
    ],
)
def test_flags(body, complaint):
    (hazard,) = [hazard for hazard in hazards(body) if hazard.kind == FLAG]
    assert complaint in hazard.message
    with pytest.raises(Deadlock):
        simulate(hand_written(START + body, F32, F32), [torch.zeros(N), torch.zeros(N)], (1,), hazards=True)


def test_a_flag_that_one_operation_of_a_loop_sets_again():
    numbers = constants(zero="0 : index", one="1 : index", two="2 : index")
    again = f"""
    "scf.for"(%zero, %two, %one) ({{ ^bb0(%i: index): {flag("set", "V", "MTE2", 3)} "scf.yield"() : () -> () }})
        : (index, index, index) -> ()
    """
    (hazard,) = hazards(numbers + again + flag("wait", "V", "MTE2", 3) + RIGHT)
    assert hazard.kind == FLAG and "sets event 3 of V for MTE2 twice" in hazard.message


def test_bytes_that_nothing_has_written():
    (hazard,) = hazards(load() + LOADED + add("a", "c", "b") + ADDED + store() + barrier())
    assert hazard.kind == UNWRITTEN and "vadd" in hazard.message and "the buffer at 512 at byte 512" in hazard.message


def test_bytes_written_through_another_buffer():
    other = buffer("d", 4 * N, f"{N}xf32")  # where b is
    body = other + load() + LOADED + add() + barrier("V") + add("a", "a", "d") + ADDED + store("b") + barrier()
    assert kinds(body) == [UNWRITTEN]
    assert kinds(body.replace(store("b"), store("d"))) == []


def test_unwritten_bytes_that_do_not_matter():
    body = load() + LOADED + add("a", "c", "b") + barrier("V") + add("a", "a", "b") + ADDED + store() + barrier()
    assert hazards(body) == ()


def test_programs_that_write_the_same_bytes():
    zero = constants(zero="0 : i64")
    each_its_own = f"""
    %program = "hivm.hir.get_block_idx"() : () -> i64
    %is_first = "arith.cmpi"(%program, %zero) <{{predicate = 0 : i64}}> : (i64, i64) -> i1
    "scf.if"(%is_first) ({{ {store("b")} "scf.yield"() : () -> () }}, {{ {store("a")} "scf.yield"() : () -> () }})
        : (i1) -> ()
    """
    body = zero + load() + LOADED + add() + ADDED + then("MTE2", "MTE3") + each_its_own + barrier()
    assert kinds(body, programs=2) == [PROGRAMS]
    (hazard,) = hazards(body, programs=3)[:1]
    assert "writes bytes of x1 that hivm.hir.store" in hazard.message and hazard.program == 1
    assert (
        kinds(body.replace(store("a"), store("a", atomic=True)).replace(store("b"), store("b", atomic=True)), 3) == []
    )


def test_programs_that_write_equal_bytes_to_the_same_place():
    assert kinds(RIGHT, programs=3) == []


def test_programs_that_read_what_another_writes():
    body = load("a", "y") + LOADED + add() + ADDED + store("b", "y", atomic=True) + barrier()
    assert kinds(body, programs=2) == [PROGRAMS]
    assert kinds(body) == []


def test_one_write_among_very_many_reads():
    zero = constants(zero="0 : i64")
    first = f"""
    %program = "hivm.hir.get_block_idx"() : () -> i64
    %is_first = "arith.cmpi"(%program, %zero) <{{predicate = 0 : i64}}> : (i64, i64) -> i1
    "scf.if"(%is_first) ({{ {store("b", "x")} "scf.yield"() : () -> () }}, {{}}) : (i1) -> ()
    """
    body = zero + load() + LOADED + add() + ADDED + then("MTE2", "MTE3") + first + barrier()
    assert kinds(body, programs=900) == [PROGRAMS]
    assert kinds(body) == []


def test_a_copy_that_reads_what_a_copy_of_the_same_program_writes():
    again = load("c", "y")
    assert kinds(RIGHT.replace(barrier(), "") + again + barrier()) == [RACE]
    assert kinds(RIGHT.replace(barrier(), then("MTE3", "MTE2")) + again + barrier()) == []


def test_overlapping_stores_of_one_program():
    twice = store() + store("a")
    assert kinds(load() + LOADED + add() + ADDED + twice + barrier()) == [RACE]
    assert kinds(load() + LOADED + add() + ADDED + store() + barrier("MTE3") + store("a") + barrier()) == []


def test_a_scalar_load_of_what_a_copy_wrote():
    zero = constants(zero="0 : index")
    read = f'%value = "memref.load"(%y, %zero) : ({ROW}, index) -> f32\n'
    assert kinds(zero + RIGHT + read) == [STALE]
    assert kinds(zero + read + RIGHT) == []


def test_a_simulation_has_them_if_asked():
    program, args = hand_written(START + RIGHT, F32, F32), [torch.ones(N), torch.zeros(N)]
    assert simulate(program, args, (1,)).hazards is None
    run = simulate(program, args, (1,), hazards=True)
    assert run.hazards == () and run.on("Ascend910B1").hazards == () and args[1].tolist() == [2] * N
    assert run.cycles == simulate(program, args, (1,)).cycles
    left = [torch.ones(N), torch.zeros(N)]
    assert not find_hazards(program, left, (1,)) and not left[1].any()


def test_arguments_are_left_alone_where_it_fails_too():
    args = [torch.ones(N), torch.zeros(N // 2), torch.zeros(N)]
    z = tensor("z", "%x2", (N,), "f32")[0]
    program = hand_written(START + z + RIGHT.replace(barrier(), "") + store("b", "z") + barrier(), F32, F32, F32)
    assert find_hazards(program, [args[0], torch.zeros(N), args[2]], (1,)) == () and not args[2].any()
    late = program.hivm.replace("%z)", "%y)").replace("(%b, %y)", "(%b, %z)", 1)
    with pytest.raises(OutOfBounds):
        find_hazards(replace(program, hivm=late), args, (1,))
    assert not args[2].any() and not args[1].any()


RUNS = st.builds(
    lambda start, run, shape, strides: (start, run, tuple(shape), tuple(strides[: len(shape)])),
    st.integers(0, 40),
    st.integers(1, 9),
    st.lists(st.integers(1, 4), max_size=2),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
)


@settings(max_examples=300, deadline=None)
@given(RUNS, RUNS)
def test_regions_meet_where_they_share_a_byte(one, other):
    import numpy as np

    memory = Allocation("memory", np.zeros(400, np.uint8), 0, 400, True)
    bytes_of, regions = [], []
    for start, run, shape, strides in (one, other):
        regions.append(Region(memory, start, run, shape, strides))
        bytes_of.append({first + k for first in regions[-1].starts().tolist() for k in range(run)})
        shadow = np.zeros(400, np.bool_)
        regions[-1].of(shadow)[...] = True
        assert set(np.flatnonzero(shadow)) == bytes_of[-1] and max(bytes_of[-1]) + 1 == regions[-1].end
    assert regions[0].meets(regions[1]) == bool(bytes_of[0] & bytes_of[1])
