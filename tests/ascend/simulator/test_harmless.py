"""Races on which nothing depends: warnings, and only these."""

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import numpy as np
import torch

from cold_kernels.ascend import find_hazards, simulate
from cold_kernels.ascend.simulator.core.binding import contents, detached
from cold_kernels.ascend.simulator.core.memory import Allocation
from cold_kernels.ascend.simulator.core.regions import Region
from cold_kernels.ascend.simulator.execute.launch import GridLaunch
from cold_kernels.ascend.simulator.hazards import hazard
from cold_kernels.ascend.simulator.hazards.hazard import PROGRAMS, RACE, STALE
from cold_kernels.ascend.simulator.hazards.pairs import addresses, shared
from cold_kernels.ascend.simulator.mutation import interleaving
from tests.ascend.simulator.programs import buffer, constants, hand_written
from tests.ascend.simulator.test_hazards import (
    ADDED,
    F32,
    LOADED,
    RIGHT,
    ROW,
    START,
    UB,
    N,
    add,
    barrier,
    load,
    store,
    then,
)

MORE = "".join(buffer(name, 4 * N * place, f"{N}xf32") for place, name in enumerate("defgh", 3))
NUMBERS = constants(none="0 : index", one="1 : index", first="0 : i64", zero="0.0 : f32")
WORK = load() + LOADED + add() + ADDED


def launch(body, programs=1):
    return (
        hand_written(START + MORE + NUMBERS + body, F32, F32),
        [torch.arange(1.0, N + 1), torch.zeros(N)],
        (programs,),
    )


def severities(body, programs=1):
    return {(found.kind, found.severity) for found in find_hazards(*launch(body, programs))}


def differs(body, orders=24):
    """Whether random orders of the pipes give other results."""
    program, args, grid = launch(body)
    run, work = GridLaunch(program, grid), detached(args)
    with run.held():
        run.run(work)
    return interleaving.can_differ(run, args, contents(work), orders) is not None


def only(program, body):
    """A body that one program alone runs."""
    return f"""
    %at{program} = "hivm.hir.get_block_idx"() : () -> i64
    %number{program} = "arith.constant"() <{{value = {program} : i64}}> : () -> i64
    %is{program} = "arith.cmpi"(%at{program}, %number{program}) <{{predicate = 0 : i64}}> : (i64, i64) -> i1
    "scf.if"(%is{program}) ({{ {body} "scf.yield"() : () -> () }}, {{}}) : (i1) -> ()
    """


def fill(target, value="zero"):
    kind = f"(f32, {UB}) -> ()"
    return f'"hivm.hir.vbrc"(%{value}, %{target}) <{{broadcast_dims = array<i64>}}> : {kind}\n'


def loop(count, body):
    ends = f'%bound = "arith.fptosi"(%{count}) : (f32) -> i64 %many = "arith.index_cast"(%bound) : (i64) -> index'
    return f"""{ends}
    "scf.for"(%none, %many, %one) ({{ ^bb0(%turn: index): {body} "scf.yield"() : () -> () }})
        : (index, index, index) -> ()
    """


def read(source="y", attributes="", kind=ROW):
    return f'%value = "memref.load"(%{source}, %none) {attributes} : ({kind}, index) -> f32\n'


AFTERWARDS = load("d", "y") + barrier()
"""Reads what a store may still be writing, and nobody looks at it."""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (WORK + store() + AFTERWARDS, RACE),
        (WORK + store() + AFTERWARDS + add("d", "d", "e") + barrier(), RACE),  # computed with, to no end
        (load("d") + add("d", "d", "e") + barrier() + RIGHT, RACE),  # in the buffer
        (load("d") + load("d") + barrier() + RIGHT, RACE),  # two writes of equal bytes
        (load("d") + load("d", "y") + barrier() + RIGHT, RACE),  # of different ones, that nobody reads
        (load("d") + load("d", "y") + barrier() + load("d") + then("MTE2", "V") + add("d", "d", "b") + ADDED + store()
         + barrier(), RACE),  # nor anybody before they are written anew
        (RIGHT + read(), STALE),
    ],
)  # fmt: skip
def test_nothing_depends_on_it(body, kind):
    assert severities(body) == {(kind, "warning")}
    assert not differs(body)
    (first, *_) = find_hazards(*launch(body))
    assert first.message.endswith("; nothing depends on it here")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (WORK + store() + load("d", "y") + then("MTE2", "MTE3") + store("d") + barrier(), RACE),
        (load() + add() + ADDED + store() + barrier(), RACE),
        (load("d") + load("d", "y") + then("MTE2", "MTE3") + store("d") + barrier(), RACE),
        # Of three writes the last two are in order and leave equal bytes; the first may come between them, or last.
        (fill("d") + load("d") + barrier("MTE2") + load("d") + barrier() + store("d") + barrier(), RACE),
        (WORK + store() + store("a") + barrier(), RACE),
        (RIGHT + read() + loop("value", WORK + store("b") + barrier()), STALE),  # how often decides nothing but time
    ],
)
def test_something_depends_on_it(body, kind):
    assert (kind, "error") in severities(body)


def test_a_race_that_decides_an_index_is_an_error_and_ends():
    number = '%far = "arith.fptosi"(%value) : (f32) -> i64 %i = "arith.index_cast"(%far) : (i64) -> index\n'
    element = f'%other = "memref.load"(%x, %i) : ({ROW}, index) -> f32\n'
    assert severities(RIGHT + read() + number + element) == {(STALE, "error")}


def test_what_passes_the_cache_by_is_not_stale():
    marked = "{disableDCache = 0 : i32}"
    assert severities(RIGHT + read(attributes=marked)) == set()
    assert severities(WORK + store() + read(attributes=marked)) == {(RACE, "warning")}
    assert severities(WORK + only(0, store() + barrier()) + only(1, read(attributes=marked)), 2) == {
        (PROGRAMS, "warning")
    }


def test_programs_that_read_what_another_writes_and_drop_it():
    assert severities(WORK + store("b", "y", atomic=True) + AFTERWARDS, 3) == {
        (PROGRAMS, "warning"),
        (RACE, "warning"),
    }
    kept = then("MTE2", "MTE3") + only(1, store("d", "x")) + barrier()
    assert (PROGRAMS, "error") in severities(WORK + store("b", "y", atomic=True) + AFTERWARDS + kept, 3)


def test_two_that_are_harmless_alone_and_not_together():
    # The difference of two reads of the same bytes is stored: it changes with either of them, and not with both.
    twice = load("d", "y") + load("e", "y") + LOADED
    difference = f"""
    "hivm.hir.vsub"(%d, %e, %f) <{{operandSegmentSizes = array<i32: 2, 1, 0>}}> : ({UB}, {UB}, {UB}) -> ()
    """
    body = WORK + store() + twice + difference + then("V", "MTE3", 1) + barrier("MTE3") + store("f", "x") + barrier()
    assert (RACE, "error") in severities(body)


def test_one_that_matters_beside_one_that_does_not():
    body = WORK + store() + AFTERWARDS + load("g") + add("g", "g", "h") + ADDED + store("h") + barrier()
    by_severity = {found.severity: found for found in find_hazards(*launch(body))}
    assert set(by_severity) == {"warning", "error"}
    assert by_severity["warning"].operations[0].startswith("hivm.hir.load")


def test_what_another_program_overwrites_in_this_order_alone():
    # Program 0 reads y too early or too late and stores that in x, where program 1 then stores something else.
    one = load("d", "y") + then("MTE2", "MTE3", 2) + store("d", "x")
    other = then("V", "MTE3", 3) + store("f") + store("f", "x")
    body = fill("f", "half") + barrier("V") + only(0, one + barrier()) + only(1, other + barrier())
    assert {found.severity for found in find_hazards(*launch(constants(half="0.5 : f32") + body, 2))} == {"error"}


def test_an_atomic_addition_of_what_leaves_the_bytes_as_another_store_did():
    # 0 + 2x and then 2x: equal bytes in this order, 4x in the other one.
    body = WORK + only(0, store(atomic=True) + barrier()) + only(1, store() + barrier())
    assert severities(body, 2) == {(PROGRAMS, "error")}


def test_equal_bytes_that_a_read_of_open_order_decides():
    # Program 0 reads y, which program 1 may write, and both leave 0 in x as long as it reads 0.
    one = load("d", "y") + then("MTE2", "V", 2) + add("d", "f", "g") + then("V", "MTE3", 2) + store("g", "x")
    other = then("V", "MTE3", 3) + store("f") + store("f", "x")
    body = fill("f") + barrier("V") + only(0, one + barrier()) + only(1, other + barrier())
    program, _, grid = launch(body, 2)
    zeros = [torch.zeros(N), torch.zeros(N)]
    assert [(found.kind, found.severity) for found in find_hazards(program, zeros, grid)] == [(PROGRAMS, "error")]
    alone = launch(body.replace(store("g", "x"), ""), 2)[0]
    assert [(found.kind, found.severity) for found in find_hazards(alone, zeros, grid)] == [(PROGRAMS, "warning")]


def test_too_many_pairs_are_not_looked_at(monkeypatch):
    body = WORK + store() + AFTERWARDS
    monkeypatch.setattr(hazard, "MOST_KEPT", 0)
    assert severities(body) == {(RACE, "error")}


def test_arguments_are_as_after_one_launch_and_a_print_is_printed_once(capsys):
    shown = '"hivm.hir.debug"(%value) <{debugtype = "print", hex = false, prefix = " it is: "}> : (f32) -> ()\n'
    program, args, grid = launch(read("x") + shown + WORK + store("b", "y", atomic=True) + AFTERWARDS)
    run = simulate(program, args, grid, hazards=True)
    assert [found.severity for found in run.hazards] == ["warning"]
    assert args[1].tolist() == [2 * x for x in range(1, N + 1)]
    assert capsys.readouterr().out == "program 0: it is: 1.0\n"
    program, args, grid = launch(RIGHT + read() + shown)
    assert [found.severity for found in find_hazards(program, args, grid)] == ["error"]  # it is seen


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((4, 8, (), ()), (8, 10, (), ())),
        ((4, 8, (), ()), (20, 4, (), ())),
        ((0, 4, (3,), (8,)), (0, 4, (3,), (8,))),
        ((0, 4, (3,), (8,)), (2, 16, (), ())),
        ((1, 2, (2, 3), (20, 5)), (0, 3, (5,), (7,))),
    ],
)
def test_shared_bytes(one, other):
    memory = Allocation("memory", np.zeros(64, np.uint8), 0, 64, True)
    regions = [Region(memory, *sizes) for sizes in (one, other)]
    ours, theirs = shared(*regions)
    mine, other = addresses(regions[0]), addresses(regions[1])
    assert sorted(mine[ours].tolist()) == sorted(set(mine.tolist()) & set(other.tolist()))
    assert mine[ours].tolist() == other[theirs].tolist()
