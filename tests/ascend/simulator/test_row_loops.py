"""Loops that load a row a turn, all at once: the same values and the same trace as turn by turn."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import simulate
from cold_kernels.ascend.simulator import OutOfBounds
from cold_kernels.ascend.simulator.dialects import row_loops
from tests.ascend.simulator import kernels
from tests.ascend.simulator.kernels import build


def gathered(columns, dtype=torch.float32, rows=100):
    x, index = torch.randn(rows, columns).to(dtype), torch.randint(0, rows, (4, 16), dtype=torch.int32)
    y = torch.zeros(4, 16, columns, dtype=dtype)
    args = [x, index, y]
    return build(kernels.gather_rows, args, M=16, N=columns), args, x[index.long()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("columns", [16, 64, 256])
def test_as_turn_by_turn(columns, dtype, monkeypatch):
    program, args, expected = gathered(columns, dtype)
    copies = []
    together = row_loops._together
    monkeypatch.setattr(row_loops, "_together", lambda *refs: copies.append(together(*refs)) or copies[-1])
    fast = simulate(program, args, (4,))
    assert torch.equal(args[2], expected) and len(copies) == 4 and None not in copies
    args[2].zero_()
    monkeypatch.setattr(row_loops, "FEWEST", 10**6)
    slow = simulate(program, args, (4,))
    assert torch.equal(args[2], expected) and len(copies) == 4
    assert fast.execution == slow.execution and fast.cycles == slow.cycles


def test_rows_that_end_within_a_block_are_filled_up_one_by_one():
    program, args, expected = gathered(20)
    simulate(program, args, (4,))
    assert torch.equal(args[2], expected)


def test_a_row_outside_is_found():
    program, args, _ = gathered(64)
    args[1][2, 3] = 100
    with pytest.raises(
        OutOfBounds, match="hivm.hir.load at .*kernels.py.*elements 6400 to 6463 of x_ptr, which has 6400"
    ):
        simulate(program, args, (4,))


def test_hazards_are_looked_for_turn_by_turn(monkeypatch):
    program, args, expected = gathered(64)
    monkeypatch.setattr(row_loops, "_together", lambda *refs: pytest.fail("all at once"))
    assert simulate(program, args, (4,), hazards=True).hazards == () and torch.equal(args[2], expected)
