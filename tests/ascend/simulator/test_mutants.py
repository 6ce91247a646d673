"""Broken programs are found; random orders of the pipes judge them, and leave whole programs alone."""

import dataclasses

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import torch

from cold_kernels.ascend.errors import AscendError
from cold_kernels.ascend.installation import toolchain_problem
from cold_kernels.ascend.simulator.core.binding import contents, detached
from cold_kernels.ascend.simulator.execute.launch import GridLaunch
from cold_kernels.ascend.simulator.mutation import interleaving
from cold_kernels.ascend.simulator.mutation.mutants import mutants
from cold_kernels.ascend.simulator.mutation.verdict import EQUIVALENT, KILLED, verdicts
from tests.ascend.simulator.programs import constants, hand_written
from tests.ascend.simulator.test_hazards import (
    ADDED,
    F32,
    LOADED,
    RIGHT,
    START,
    UB,
    add,
    barrier,
    flag,
    load,
    store,
    then,
)

ORDERS = 24


def program(body):
    return hand_written(START + body, F32, F32)


def differs(body, orders=ORDERS):
    args = [torch.arange(64.0), torch.zeros(64)]
    right = detached(args)
    launch = GridLaunch(program(RIGHT), (1,))
    with launch.held():
        launch.run(right)
    return interleaving.can_differ(GridLaunch(program(body), (1,)), args, contents(right), orders)


@pytest.mark.parametrize(
    "body",
    [
        RIGHT,
        load() + then("MTE2", "S") + then("S", "V") + add() + ADDED + store() + barrier(),
        load() + barrier() + add() + barrier() + store(),  # the program ends when its pipes do
        2 * (load() + LOADED + add() + barrier("V") + then("V", "MTE2")) + ADDED + store() + barrier(),
    ],
)
def test_what_is_in_order_never_differs(body):
    assert differs(body) is None


@pytest.mark.parametrize(
    ("body", "how"),
    [
        (load() + add() + ADDED + store() + barrier(), "other results"),
        (load() + LOADED + add() + store() + barrier(), "other results"),
        (load() + LOADED + add() + load("a", "y") + ADDED + store() + barrier(), "other results"),
        (load() + LOADED + add("a", "a", "c") + add("c", "b", "b") + add() + ADDED + store() + barrier(), None),
        (flag("wait", "V", "MTE2") + RIGHT, "every pipe waits"),
        (flag("set", "V", "MTE2") + RIGHT, "1 flags stay set"),
    ],
)
def test_what_is_not_in_order_does(body, how):
    found = differs(body)
    assert how is None or how in found


def test_an_order_is_drawn_from_its_seed():
    body = load() + add() + ADDED + store() + barrier()
    assert len({differs(body) for _ in range(3)}) == 1


def test_every_wrong_mutant_of_a_program_is_found():
    args = [torch.arange(64.0), torch.zeros(64)]
    found = list(verdicts(program(RIGHT), args, (1,), ORDERS))
    assert {one.mutant.what for one in found} == {"pair", "barrier"}
    assert {one.verdict for one in found} == {KILLED, EQUIVALENT}
    assert [one for one in found if one.mutant.what == "pair" and one.verdict == KILLED] and not args[1].any()
    last = [one for one in found if one.mutant.what == "barrier"]
    assert [one.verdict for one in last] == [EQUIVALENT]  # it ends the program


def test_a_mutant_differs_in_one_place():
    whole = program(RIGHT)
    for mutant in mutants(whole, [torch.zeros(64), torch.zeros(64)], (1,)):
        before, after = (set(text.splitlines()) for text in (str(whole.module), mutant.program.hivm))
        assert len(before - after) <= 2 and len(after - before) <= 2 and mutant.change


def test_two_buffers_that_take_turns_are_swapped():
    choice = constants(yes="true") + f'%d = "arith.select"(%yes, %b, %c) : (i1, {UB}, {UB}) -> {UB}\n'
    body = choice + load() + LOADED + add("a", "a", "d") + ADDED + store("b") + barrier()
    found = verdicts(program(body), [torch.arange(64.0), torch.zeros(64)], (1,), ORDERS)
    assert [one.verdict for one in found if one.mutant.what == "buffers"] == [KILLED]


def test_a_buffer_moves_onto_the_one_right_beside_it():
    body = load("a") + load("b") + LOADED + add("a", "b", "c") + ADDED + store("c") + barrier()
    found = mutants(program(body), [torch.arange(64.0), torch.zeros(64)], (1,))
    moved = {one.change.partition(": ")[2] for one in found if one.what == "address"}
    first, second = "the buffer at 0", "the buffer at 256"
    assert moved == {
        *(f"{first} at {address}, where {second} is" for address in (256, 32)),
        *(f"{second} at {address}, where {first} is" for address in (0, 224)),
    }


def test_some_of_them_are_always_the_same():
    args = [torch.zeros(64), torch.zeros(64)]
    every = [mutant.change for mutant in mutants(program(RIGHT), args, (1,))]
    some = [[mutant.change for mutant in mutants(program(RIGHT), args, (1,), most=2)] for _ in range(2)]
    assert some[0] == some[1] and len(some[0]) == 2 and set(some[0]) <= set(every)
    assert [mutant.change for mutant in mutants(program(RIGHT), args, (1,), most=99)] == every


def test_a_program_that_is_wrong_as_compiled_is_refused():
    with pytest.raises(AscendError, match="hand_written as it was compiled: race"):
        list(verdicts(program(load() + add() + ADDED + store() + barrier()), [torch.ones(64)] * 2, (1,), 3))


@pytest.mark.skipif(toolchain_problem() is not None, reason=str(toolchain_problem()))
def test_compiled_programs():
    from tests.gallery.examples import launches
    from tuner.robustness.mutants import judged

    wanted = ("elementwise/add_in_a_loop", "embedding/embed-")
    some = list(launches(wanted))
    assert len(some) == len(wanted)
    found = judged(iter(some), 12)
    assert found["killed"] > 30 and not found["survivors"] and not found["false_alarms"] and found["score"] == 1
    assert set(found["by_kind"]) == {"address", "barrier", "buffers", "event", "pair"}
    name, whole, *launch = some[0]
    lines = [line for line in whole.hivm.splitlines() if "_flag" not in line]
    without = dataclasses.replace(whole, hivm="\n".join(lines))
    (alarm,) = judged(iter([(name, without, *launch)]), 2)["false_alarms"]
    assert name in alarm and "race" in alarm
