import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import torch

from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.simulator import Deadlock
from cold_kernels.ascend.simulator.timing.costs import Costs
from cold_kernels.ascend.simulator.timing.timeline import schedule
from cold_kernels.ascend.simulator.trace.events import Issue, Lock, ScalarWork, Unlock
from cold_kernels.ascend.simulator.trace.work import LOAD, work
from tests.ascend.simulator.programs import constants, hand_written

CHIP = chip_named("Ascend910B3")
I32 = "memref<?xi32, <gm>>"


def operation(name):
    return f'"hivm.hir.sync_block_{name}"(%variable) : (memref<1xi64, <gm>>) -> ()\n'


START = (
    constants(c0="0 : index", c3="3 : index", one="1 : i32", first="0 : i64")
    + """
    %variable = "memref.view"(%hidden1, %c0) : (memref<?xi8, <gm>>, index) -> memref<1xi64, <gm>>
    %program = "hivm.hir.get_block_idx"() : () -> i64
"""
)
TICKET = """
    %old = "memref.load"(%x0, %c0) : (memref<?xi32, <gm>>, index) -> i32
    %new = "arith.addi"(%old, %one) : (i32, i32) -> i32
    "memref.store"(%new, %x0, %c0) : (i32, memref<?xi32, <gm>>, index) -> ()
    %place = "arith.index_cast"(%program) : (i64) -> index
    "memref.store"(%old, %x1, %place) : (i32, memref<?xi32, <gm>>, index) -> ()
"""


def run(body, programs=5):
    count, tickets = torch.zeros(1, dtype=torch.int32), torch.full((programs,), -1, dtype=torch.int32)
    return simulate(hand_written(START + body, I32, I32), [count, tickets], (programs,)), count, tickets


def test_programs_pass_in_the_order_of_the_grid():
    body = operation("lock") + TICKET + operation("unlock")
    _, count, tickets = run(body)
    assert count.item() == 5 and tickets.tolist() == [0, 1, 2, 3, 4]
    assert run(body)[1].item() == 5  # each launch begins with its locks open


def test_they_wait_for_each_other():
    body = operation("lock") + TICKET + operation("unlock")
    access = CHIP.constants["scalar_global"]
    cycles = [run(body, programs)[0].cycles for programs in (1, 10, 40, 80)]
    assert cycles[1] - cycles[0] == pytest.approx(9 * cycles[0], rel=0.1) and cycles[0] > 5 * access
    assert cycles[3] == pytest.approx(2 * cycles[2], rel=0.01)
    assert run(TICKET, 10)[0].cycles < cycles[1] / 3


@pytest.mark.parametrize(
    "body, complaint",
    [
        (2 * (operation("lock") + operation("unlock")), "program 0 waits for a lock that is at program 1"),
        (
            '%zero = "arith.cmpi"(%program, %first) <{predicate = 1 : i64}> : (i64, i64) -> i1\n"scf.if"(%zero) ({ '
            + operation("lock") + operation("unlock") + '"scf.yield"() : () -> () }, {}) : (i1) -> ()\n',
            "program 1 waits for a lock that is at program 0",
        ),
    ],
    ids=["twice", "left out"],
)  # fmt: skip
def test_a_turn_that_never_comes(body, complaint):
    with pytest.raises(Deadlock, match=f"hivm.hir.sync_block_lock at .*: {complaint}; all pass it in turn, each once"):
        run(body)


def test_a_variable_within_an_element():
    body = '%odd = "memref.view"(%hidden1, %c3) : (memref<?xi8, <gm>>, index) -> memref<1xi64, <gm>>\n'
    with pytest.raises(UnsupportedProgram, match="memref.view at .*: int64 at byte 3"):
        run(body)


def test_a_timeline_waits_for_its_turn():
    costs, turns = Costs(CHIP, 100), {}
    held = work(LOAD, (("load_issue", 1),), 100 * 1000)
    trace = [ScalarWork(10), Lock(0), Issue(held), Unlock(0)]
    times = [schedule(trace, costs, turns=turns).cycles for _ in range(3)]
    alone = schedule(trace, costs).cycles
    assert times[0] == alone
    step = alone - 10 * CHIP.constants["scalar"]
    assert times == pytest.approx([alone, alone + step, alone + 2 * step])
