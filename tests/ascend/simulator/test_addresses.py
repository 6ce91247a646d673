import re

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import simulate
from cold_kernels.ascend.simulator import OutOfBounds, find_hazards
from cold_kernels.ascend.simulator.core.binding import detached
from tests.ascend.simulator import kernels
from tests.ascend.simulator.kernels import build
from tests.gallery import pointers


def holding(*tensors):
    """What the pointers of a launch may reach beside its tensors."""
    ranges = [(tensor.data_ptr(), tensor.untyped_storage().nbytes()) for tensor in tensors]
    return lambda address: next((r for r in ranges if r[0] <= address < r[0] + r[1]), None)


def reading(rows=3):
    x, y = torch.randn(rows, 64), torch.full((rows, 64), torch.nan)
    addresses = torch.tensor([row.data_ptr() for row in list(x)[::-1]])
    return x, y, [addresses, y]


def test_memory_that_is_no_tensor_of_the_launch():
    x, y, args = reading()
    program = build(pointers.rows_by_address, args, N=64)
    run = simulate(program, args, (3,), memory=holding(x), hazards=True)
    assert torch.equal(y, x.flip(0)) and run.hazards == ()
    assert find_hazards(program, args, (3,), memory=holding(x)) == ()


@pytest.mark.parametrize("address", [0, 64])
def test_an_address_that_nobody_knows(address):
    _, y, args = reading()
    args[0][1] = address
    known = reading()[0]
    args[0][0] = known.data_ptr()
    with pytest.raises(OutOfBounds) as caught:
        simulate(build(pointers.rows_by_address, args, N=64), args, (3,), memory=holding(known))
    line = int(
        re.search(rf"pointer_cast at .*pointers.py:(\d+): the address {address:#x} lies in no", str(caught.value))[1]
    )
    assert "tl.pointer_type" in open(pointers.__file__).read().splitlines()[line - 1]


def test_past_the_end_of_the_memory_that_holds_an_address():
    x, y, args = reading()
    args[0][2] = x.data_ptr() + 4 * (3 * 64 - 63)
    with pytest.raises(
        OutOfBounds, match=r"hivm.hir.load at .*: elements 0 to 63 of the memory at .* from byte 516 on, which"
    ):
        simulate(build(pointers.rows_by_address, args, N=64), args, (3,), memory=holding(x))


def test_written_through_addresses():
    x, y = torch.randn(2, 64), torch.zeros(2, 64)
    args = [torch.tensor([row.data_ptr() for row in list(y)[::-1]]), x]
    program = build(pointers.rows_to_addresses, args, N=64)
    simulate(program, args, (2,), memory=holding(y))
    assert torch.equal(y, x.flip(0))


def test_two_programs_write_through_one_address():
    x, y = torch.randn(2, 64), torch.zeros(64)
    args = [torch.tensor([y.data_ptr()] * 2), x]
    (found,) = find_hazards(build(pointers.rows_to_addresses, args, N=64), args, (2,), memory=holding(y))
    assert found.kind == "programs" and not y.any()


def test_a_copy_of_the_arguments_leaves_what_they_point_to_alone():
    x, y = torch.randn(2, 64), torch.zeros(2, 64)
    args = [torch.tensor([y[0].data_ptr(), x[1].data_ptr()]), x]
    before, program = x.clone(), build(pointers.rows_to_addresses, args, N=64)
    simulate(program, detached(args), (2,), memory=holding(y))
    assert torch.equal(x, before) and not y.any()
    simulate(program, args, (2,), memory=holding(y), values=False)
    assert torch.equal(x, before) and not y.any()


def test_an_address_in_each_turn_of_a_loop():
    x, y = torch.randn(5), torch.zeros(5)
    args = [torch.tensor([y[place:].data_ptr() for place in (4, 2, 0, 1, 3)]), x, 5]
    program = build(pointers.numbers_to_addresses, args)
    run = simulate(program, args, (1,), memory=holding(y), hazards=True)
    assert torch.equal(y[[4, 2, 0, 1, 3]], x + 1) and {hazard.kind for hazard in run.hazards} <= {"outside"}


def test_two_arguments_that_are_views_of_one_storage():
    """The first program writes what the second one reads through another argument."""
    both = torch.randn(768)
    args = [both[:512], torch.zeros(512), both[256:], 512]
    found = find_hazards(build(kernels.add, args, TILE=256), args, (2,))
    assert [hazard.kind for hazard in found] == ["programs"]
