"""What the scalar unit waits for: lines of its data cache, tensors that it comes to first, divisions."""

import pytest

for needed in ("triton", "xdsl", "ml_dtypes"):
    pytest.importorskip(needed)
import torch
import triton
import triton.language as tl

from cold_kernels.ascend import simulate
from cold_kernels.ascend.installation import toolchain_problem
from cold_kernels.ascend.simulator.trace.events import ScalarAccess, ScalarWork
from tests.ascend.simulator.kernels import build

pytestmark = pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")


@triton.jit
def sums_of_four(x_ptr, y_ptr, apart):
    a = tl.load(x_ptr)
    b = tl.load(x_ptr + apart)
    c = tl.load(x_ptr + 2 * apart)
    d = tl.load(x_ptr + 3 * apart)
    tl.store(y_ptr, a + b + c + d)


@triton.jit
def chain_of_four(x_ptr, y_ptr):
    at = tl.load(x_ptr)
    at = tl.load(x_ptr + at)
    at = tl.load(x_ptr + at)
    at = tl.load(x_ptr + at)
    tl.store(y_ptr, at)


@triton.jit
def chain_in_a_loop(x_ptr, y_ptr, n):
    at = tl.load(y_ptr)
    for _ in range(n):
        at = tl.load(x_ptr + at)
    tl.store(y_ptr, at)


@triton.jit
def from_two(x_ptr, z_ptr, y_ptr):
    at = tl.load(x_ptr)
    tl.store(y_ptr, tl.load(z_ptr + at))


@triton.jit(do_not_specialize=["by"])
def divided(x_ptr, y_ptr, by, BY: tl.constexpr):
    x = tl.load(x_ptr)
    tl.store(y_ptr, x // BY + x // by)


def loaded(kernel, *args):
    """Loads from global memory, and of them the waits for a line and for a tensor's first one."""
    run = simulate(build(kernel, list(args)), list(args), (1,))
    events = [event for event in run.execution.traces[0] if isinstance(event, ScalarAccess) and not event.local]
    return tuple(sum(getattr(event, name) for event in events) for name in ("count", "missed", "first")), run


def ints(*values):
    return torch.tensor(values, dtype=torch.int32)


def test_elements_of_one_line_wait_once():
    y = ints(0)
    (_, missed, first), _ = loaded(sums_of_four, torch.arange(64, dtype=torch.int32), y, 2)
    assert (missed, first) == (1, 1) and y.item() == 0 + 2 + 4 + 6


def test_loads_that_nothing_has_used_yet_wait_together():
    (_, missed, first), _ = loaded(sums_of_four, torch.arange(256, dtype=torch.int32), ints(0), 64)
    assert (missed, first) == (1, 1)


def test_a_chain_waits_for_each_line():
    x = torch.zeros(256, dtype=torch.int32)
    x[0], x[64], x[128] = 64, 128, 192
    (_, missed, first), far = loaded(chain_of_four, x, ints(0))
    assert (missed, first) == (4, 1)
    (_, missed, _), near = loaded(chain_of_four, torch.zeros(256, dtype=torch.int32), ints(0))
    assert missed == 1
    assert far.cycles - near.cycles == pytest.approx(3 * far.chip.constants["scalar_miss"])


def test_a_written_loop_counts_its_lines_as_well():
    x = torch.arange(1, 257, dtype=torch.int32)  # each element says where the next one is
    (count, missed, first), _ = loaded(chain_in_a_loop, x, ints(0), 100)
    assert count >= 100 and missed == 1 + 7 and first == 2  # of y one line, of x 100 elements of 4 bytes


def test_each_tensor_has_a_first_line():
    (_, missed, first), _ = loaded(from_two, ints(1), ints(5, 7), ints(0))
    assert (missed, first) == (2, 2)


def test_a_division_by_what_the_launch_says_costs_more():
    run = simulate(build(divided, [ints(100), ints(0), 7], BY=8), [ints(100), ints(0), 7], (1,))
    events = [event for event in run.execution.traces[0] if isinstance(event, ScalarWork)]
    by_the_launch = sum(event.divisions for event in events)
    other = simulate(build(divided, [ints(100), ints(0), 7], BY=7), [ints(100), ints(0), 7], (1,))
    assert by_the_launch >= 1
    assert sum(e.divisions for e in other.execution.traces[0] if isinstance(e, ScalarWork)) == by_the_launch
