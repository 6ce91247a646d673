"""Loops written out as Python functions do what the same loops do step by step."""

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import torch

from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.simulator import OutOfBounds
from cold_kernels.ascend.simulator.core.operations import Op
from cold_kernels.ascend.simulator.dialects import control
from cold_kernels.ascend.simulator.execute import launch
from tests.ascend.simulator.programs import constants, hand_written
from tests.ascend.simulator.scalar_programs import (
    BITS,
    BRANCHES,
    END,
    HALVES,
    NESTED,
    NUMBERS,
    PROGRAMS,
    SWAPPED,
    WHILE,
    binary,
    element,
    floats,
    integers,
    loop,
    put,
    yielded,
)  # fmt: skip

F32, I32 = "memref<?xf32, <gm>>", "memref<?xi32, <gm>>"


def run(body, tensors):
    kinds = [I32 if tensor.dtype == torch.int32 else F32 for tensor in tensors]
    return simulate(hand_written(NUMBERS + body, *kinds), tensors, (1,))


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_cycles_are_those_of_single_steps(name, monkeypatch):
    body, make = PROGRAMS[name]
    written, stepped = make(), make()
    fast = run(body, written)
    assert sum(map(len, fast.execution.traces)) < 8
    monkeypatch.setattr(control, "is_scalar", lambda op: False)
    monkeypatch.setattr(launch, "_TRANSLATIONS", {})
    slow = run(body, stepped)
    assert all(torch.equal(a, b) for a, b in zip(written, stepped, strict=True))
    assert any(tensor.any() for tensor in written[-1:])
    assert fast.cycles == pytest.approx(slow.cycles, rel=1e-12)
    assert fast.pipes == pytest.approx(slow.pipes, rel=1e-12)


def test_what_they_compute():
    (fibonacci,) = integers()
    run(SWAPPED, [fibonacci])
    assert fibonacci[:8].tolist() == [1, 1, 2, 3, 5, 8, 13, 21] and fibonacci[40] == 267914296
    (steps,) = integers()
    run(WHILE, [steps])
    assert steps[:2].tolist() == [111, 1]
    x, y = floats()
    run(BRANCHES, [x, y])
    assert torch.equal(y[:40], torch.where(x > 0.5, x * x, x - 0.5)[:40])
    x, y = floats()
    run(NESTED, [x, y])
    assert torch.allclose(y[:40], torch.stack([0.5 + x[:i:2].sum() for i in range(40)]), atol=1e-5)
    (bits,) = integers()
    run(BITS, [bits])
    assert bits[:4].tolist() == [0, -1, 0, -1]
    x, y = floats()
    run(HALVES, [x, y])
    assert torch.equal(y[:40], (x.half().float() - x.bfloat16().float())[:40])


def test_a_loop_of_no_iterations_passes_its_values_on():
    body = loop(binary("%b", "addf", "%a", "%a") + yielded("%b"), "%half", "%a: f32", "%r =").replace(
        "%n, %c1", "%c0, %c1"
    )
    x = torch.zeros(4)
    run(body + put("%r", "%x0", "%c0"), [x])
    assert x[0] == 0.5


def test_integers_wrap():
    body = constants(start="2147483600 : i32", three="3 : i32") + loop(
        binary("%b", "muli", "%a", "%three", "i32") + put("%b", "%x0", "%i", kind="i32") + yielded("%b", kind="i32"),
        "%start", "%a: i32", "%r =",
    )  # fmt: skip
    (x,) = integers()
    run(body, [x])
    expected = [(2147483600 * 3**k + 2**31) % 2**32 - 2**31 for k in range(1, 41)]
    assert x[:40].tolist() == expected


@pytest.mark.parametrize("place", ["load", "store"])
@pytest.mark.parametrize("size", [0, 7])
def test_an_access_outside_is_named(place, size):
    body = element("%v", "%x0", "%i") + put("%v", "%x1", "%i") + END
    sizes = (size, 40) if place == "load" else (40, size)
    with pytest.raises(OutOfBounds, match=f"memref.{place} at .*: elements {size} to {size} of x{sizes.index(size)}"):
        run(loop(body), [torch.zeros(n) for n in sizes])


def test_an_index_below_zero_is_outside():
    body = loop('%k = "arith.subi"(%i, %c1) : (index, index) -> index\n' + put("%half", "%x0", "%k") + END)
    with pytest.raises(OutOfBounds, match="memref.store at .*: elements -1 to -1"):
        run(body, [torch.zeros(64)])


def test_loops_that_do_not_end():
    with pytest.raises(UnsupportedProgram, match="scf.for at .*: a loop with step 0 does not end"):
        run(loop(END).replace("%n, %c1", "%n, %c0"), [torch.zeros(1)])
    endless = (
        constants(yes="true") + '"scf.while"() ({ "scf.condition"(%yes) : (i1) -> () }, { ' + END + " }) : () -> ()\n"
    )
    with pytest.raises(UnsupportedProgram, match="scf.while at .*: a loop that has not ended after 100,000 iterations"):
        run(endless, [torch.zeros(1)])


def test_a_loop_with_vector_work_is_walked_step_by_step():
    flags = '"hivm.hir.pipe_barrier"() <{pipe = #hivm.pipe<PIPE_V>}> : () -> ()\n' + END
    program = hand_written(NUMBERS + loop(flags))
    entry = Op(program.entry)
    loops = [Op(raw) for raw in entry.raw.walk() if Op(raw).name == "scf.for"]
    assert [control.is_scalar(op) for op in loops] == [False]
    assert sum(map(len, simulate(program, [], (1,)).execution.traces)) == 80
