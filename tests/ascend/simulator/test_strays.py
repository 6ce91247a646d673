"""Accesses outside of every tensor: a warning where nothing depends on them or changes by them, else an error."""

import numpy as np
import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import simulate
from cold_kernels.ascend.simulator import OutOfBounds, find_hazards
from cold_kernels.ascend.simulator.core.memory import ELEMENT_TYPES, Allocation, MemRef
from cold_kernels.ascend.simulator.core.regions import inside, region
from cold_kernels.ascend.simulator.core.strays import PAGE, Before, Strays
from tests.ascend.simulator import kernels
from tests.ascend.simulator.kernels import build
from tests.gallery import masks


def part():
    """Rows 100 to 139 of a vocabulary, asked for rows of all of it."""
    x, index = torch.randn(40), torch.tensor([100, 139, 140, 99, 0, 1 << 20, 120, -5] * 8, dtype=torch.int32)
    y = torch.full((64,), torch.nan)
    own = (index >= 100) & (index < 140)
    return [x, index, y, 100, 40], torch.where(own, x[(index - 100).clamp(0, 39).long()], 0.0)


def test_lanes_that_a_mask_keeps_inside_are_a_warning():
    args, expected = part()
    program = build(masks.own_rows, args, N=64)
    simulate(program, args, (1,))
    assert torch.equal(args[2], expected)
    (found,) = find_hazards(program, args, (1,))
    assert (found.kind, found.severity) == ("outside", "warning")
    assert (
        "memref.load at " in found.message and "masks.py" in found.message and "nothing depends on it" in found.message
    )
    args[2].fill_(torch.nan)
    assert simulate(program, args, (1,), hazards=True).hazards == (found,)
    assert torch.equal(args[2], expected)


def test_time_alone():
    args, _ = part()
    program = build(masks.own_rows, args, N=64)
    run = simulate(program, args, (1,), values=False)
    assert args[2].isnan().all() and run.cycles == simulate(program, args, (1,)).cycles


def rows(kept):
    x, y = torch.randn(6, 64), torch.zeros(8, 64)
    return [x, y, kept], build(masks.unmasked_rows, [x, y, kept], M=4, N=64)


def test_a_copy_of_rows_beyond_the_last_one():
    args, program = rows(6)
    before = args[0].clone()
    simulate(program, args, (2,))
    assert torch.equal(args[1][:6], before + 1) and not args[1][6:].any()
    (found,) = find_hazards(program, args, (2,))
    assert (found.kind, found.program) == (
        "outside",
        1,
    ) and "elements 256 to 511 of x_ptr, which has 384" in found.message


@pytest.mark.parametrize("values", [True, False])
def test_what_depends_on_it_is_an_error(values):
    args, program = rows(7)
    with pytest.raises(OutOfBounds, match="hivm.hir.load at .*masks.py.*elements 256 to 511 of x_ptr"):
        simulate(program, args, (2,), values=values)
    with pytest.raises(OutOfBounds, match="x_ptr"):
        find_hazards(program, args, (2,))


def test_a_launch_in_place_is_run_twice_on_what_was_there_before():
    x = torch.randn(6, 64)
    before = x.clone()
    args = [x, x, 6]
    simulate(build(masks.unmasked_rows, args, M=4, N=64), args, (2,))
    assert torch.equal(x, before + 1)


def test_writing_outside_is_an_error():
    args = [torch.randn(64), torch.tensor([64] * 64), torch.zeros(64)]
    with pytest.raises(OutOfBounds, match="which has 64"):
        simulate(build(kernels.gather, args, N=64), args, (1,))


@pytest.mark.parametrize("hazards", [False, True])
def test_a_tile_that_is_written_back_beyond_the_end_is_a_warning(hazards):
    x, y = torch.randn(100), torch.full((100,), 7.0)
    args = [x, y, 100]
    program = build(masks.positive, args, N=64)
    run = simulate(program, args, (2,), hazards=hazards)
    assert torch.equal(y, torch.where(x > 0, x, 7.0))
    found = run.hazards if hazards else find_hazards(program, args, (2,))
    assert {hazard.severity for hazard in found} == {"warning"}
    (store,) = [hazard for hazard in found if "hivm.hir.store at " in hazard.message]
    assert store.kind == "outside" and "elements 64 to 127 of y_ptr, which has 100" in store.message
    assert "writes back what it has read there" in store.message
    assert torch.equal(y, torch.where(x > 0, x, 7.0))


def test_adding_0_beyond_the_end_is_a_warning():
    x, y = torch.randn(3, 2, 32), torch.zeros(3, 2)
    args = [x, y, 3]
    program = build(masks.added, args, M=1, N=2)
    (found,) = simulate(program, args, (4,), hazards=True).hazards
    torch.testing.assert_close(y, x.sum(-1))
    assert (found.severity, found.program) == ("warning", 3)
    assert "elements 6 to 7 of y_ptr, which has 6: a device adds 0 there" in found.message
    args[2] = 4  # the last row is loaded as well, and what is there is added
    with pytest.raises(OutOfBounds, match="elements 6 to 7 of y_ptr"):
        simulate(program, args, (4,))


@pytest.mark.parametrize("value", [5, -1])  # -1 is also what a read outside gives at first
def test_a_value_of_its_own_beyond_the_end_is_an_error(value):
    args = [torch.full((64,), value, dtype=torch.int32), torch.zeros(50, dtype=torch.int32)]
    program = build(masks.whole_tile, args, N=64)
    for look in (simulate, find_hazards):
        with pytest.raises(OutOfBounds, match="elements 0 to 63 of y_ptr, which has 50"):
            look(program, args, (1,))


def test_a_print_reads_what_is_done():
    args = [torch.arange(64.0), torch.zeros(64)]
    assert find_hazards(build(masks.printed, args, N=64), args, (1,)) == ()


def test_a_part_of_columns():
    x, y = masks.numbers(4, 32), torch.zeros(4, 32)
    simulate(build(masks.transposed_part, [x, y, 128], M=4, N=32), [x, y, 128], (1,))
    assert torch.equal(y, x)


def test_only_the_part_inside_is_written():
    data = np.zeros(40, np.uint8)
    memory = Allocation("x", data, 8, 32, False)
    ref = MemRef(memory, -1, (3, 2), (3, 2), ELEMENT_TYPES["i32"])  # elements -1, 1, 2, 4, 5, 7 of 6
    strays, values = Strays(), np.array([[-1, 10], [20, 40], [50, -1]], np.int32)
    assert strays.write_back(ref, values)
    assert data[8:32].view(np.int32).tolist() == [0, 10, 20, 0, 40, 50] and not data[:8].any() and not data[32:].any()
    assert sorted((part.start, part.end) for part in inside(region(ref))) == [(12, 16), (16, 20), (24, 28), (28, 32)]
    assert not strays.write_back(ref, values + 1) and data[12] == 10
    assert not strays.add(ref, values)
    values[0, 0] = values[2, 1] = 0
    assert strays.add(ref, values) and data[12] == 20


def test_what_was_written_goes_back():
    data = np.arange(5 * PAGE, dtype=np.uint8)
    memory, before = Allocation("x", data, 0, len(data), False), data.copy()
    kept = Before()
    for offset in (10, PAGE - 2, 3 * PAGE + 7):
        ref = MemRef(memory, offset, (4,), (1,), ELEMENT_TYPES["i8"])
        kept.keep(ref)
        ref.write(-1)
    assert len(kept.now()) == 3 and not np.array_equal(data, before)
    kept.back()
    assert np.array_equal(data, before)
    kept.keep_all(memory)
    assert len(kept.now()) == 5
