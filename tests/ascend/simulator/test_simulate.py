import math
import re
from dataclasses import replace

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import CompileOptions, UnsupportedProgram, simulate
from cold_kernels.ascend.chips import CHIPS, chip_named
from cold_kernels.ascend.simulator import Deadlock, OutOfBounds
from cold_kernels.ascend.simulator.timing.cores import timed
from tests.ascend.simulator import kernels
from tests.ascend.simulator.kernels import build, compiled

FLOATS = (torch.float16, torch.bfloat16, torch.float32)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def run(kernel, args, grid=(1,), **constants):
    return simulate(build(kernel, args, **constants), args, grid)


def blank(*size, dtype=torch.float32):
    return torch.full(size, torch.nan, dtype=dtype) if dtype.is_floating_point else torch.full(size, -77, dtype=dtype)


def sums(n=1000, tile=256, dtype=torch.float32):
    x, y = torch.randn(n).to(dtype), torch.randn(n).to(dtype)
    args = [x, y, blank(n, dtype=dtype), n]
    return build(kernels.add, args, TILE=tile), args, (-(-n // tile),)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, 1024])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_add_with_a_tail(n, dtype):
    program, args, grid = sums(n, dtype=dtype)
    wide = blank(n + 9, dtype=dtype)
    simulate(program, [*args[:2], wide[:n], n], grid)
    assert torch.equal(wide[:n], args[0] + args[1]) and wide[n:].isnan().all()


def test_programs_that_share_out_the_grid_start_once_a_core():
    x, y = torch.randn(3200), torch.randn(3200)
    args = [x, y, blank(3200), 3200]
    plain = build(kernels.add, args, TILE=64)
    shared = CompileOptions(all_blocks_parallel=True)
    program = compiled(kernels.add, tuple(plain.signature.items()), (("TILE", 64),), options=shared)
    done = simulate(program, args, (50,), hazards=True)
    assert torch.equal(args[2], x + y) and not done.hazards
    assert done.execution.programs and len(done.execution.programs) == chip_named(program.chip).vector_cores


def test_a_write_that_shares_equal_bytes_with_another_program_and_has_more_of_its_own():
    """Rows from program * 8 on, 16 of them: 8 are the next program's too."""
    x, y = torch.arange(64.0), torch.zeros(64)
    assert not simulate(build(kernels.overlapping, [x, y], STEP=8, N=16), [x, y], (6,), hazards=True).hazards
    apart = build(kernels.overlapping_apart, [x, y], STEP=8, N=16)
    assert [hazard.kind for hazard in simulate(apart, [x, y], (6,), hazards=True).hazards] == ["programs"]


def test_a_running_sum_reads_what_it_has_written():
    """The buffer is chosen by the turn of the loop over programs, so that no slot names it for good."""
    x = torch.randn(2, 32)
    args = [x, blank(2, 32)]
    plain = build(kernels.running_sum, args, N=32)
    shared = CompileOptions(all_blocks_parallel=True)
    program = compiled(kernels.running_sum, tuple(plain.signature.items()), (("N", 32),), options=shared)
    done = simulate(program, args, (2,), hazards=True)
    assert torch.allclose(args[1], x.cumsum(1), atol=1e-5) and not done.hazards


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_softmax(dtype):
    x = torch.randn(3, 1000).to(dtype)
    y = blank(3, 1000, dtype=dtype)
    run(kernels.softmax, [x, y, 1000], (3,), TILE=1024)
    assert (y.double() - x.double().softmax(1)).abs().max() <= x.double().softmax(1).max() * torch.finfo(dtype).eps


def test_argmax_takes_the_first_of_equals():
    x = torch.randint(-3, 3, (4, 900)).float()
    x[3] = -torch.inf
    x[3, 17] = 1
    y = blank(4, dtype=torch.int32)
    run(kernels.argmax, [x, y, 900], (4,), TILE=1024)
    assert y.tolist() == x.argmax(1).tolist()


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int32], ids=str)
def test_atomic_add_rounds_in_the_stored_type(dtype):
    x = (torch.randn(5, 64) * 9).to(dtype)
    y = torch.ones(64, dtype=dtype)
    run(kernels.atomic_sum, [x, y], (5,), N=64)
    expected = torch.ones(64, dtype=dtype)
    for row in x:
        expected = expected + row
    assert torch.equal(y, expected)


def test_gather_by_a_vector_of_indices():
    x, index, y = torch.randn(100), torch.randint(0, 100, (64,)), blank(64)
    run(kernels.gather, [x, index, y], N=64)
    assert torch.equal(y, x[index])


def test_integers():
    x = torch.randint(-9, 9, (100,), dtype=torch.int32)
    y = blank(100, dtype=torch.int32)
    run(kernels.integers, [x, y, 100], TILE=128)
    expected = torch.where(x > 3, x * 2, x - 1) + (x >> 1) + (x & 7) + (x ^ 5) + torch.where(x == 2, 10, 0)
    assert torch.equal(y, expected.int())


def test_integers_wrap():
    x = torch.tensor([2**31 - 1, -(2**31), 2**30], dtype=torch.int32)
    y = blank(3, dtype=torch.int32)
    run(kernels.integers, [x, y, 3], TILE=128)
    long = x.long()
    expected = torch.where(long > 3, long * 2, long - 1) + (long >> 1) + (long & 7) + (long ^ 5)
    assert torch.equal(y, expected.int())


def test_division_truncates_and_lanes_past_the_end_may_divide_by_zero():
    x, y = torch.randint(-99, 99, (100,), dtype=torch.int32), torch.randint(1, 9, (100,), dtype=torch.int32)
    y *= torch.randint(0, 2, (100,), dtype=torch.int32) * 2 - 1
    q, r = blank(100, dtype=torch.int32), blank(100, dtype=torch.int32)
    run(kernels.divide, [x, y, q, r, 100], TILE=128)
    assert torch.equal(q, torch.div(x, y, rounding_mode="trunc")) and torch.equal(r, torch.fmod(x, y))


@pytest.mark.parametrize(
    "source, target",
    [
        (torch.uint8, torch.int32), (torch.uint8, torch.float32), (torch.int8, torch.float32),
        (torch.bool, torch.int32), (torch.bool, torch.bool),
        (torch.int32, torch.int8), (torch.int32, torch.uint8), (torch.int64, torch.int32),
        (torch.int16, torch.int8), (torch.float32, torch.int32), (torch.float32, torch.bfloat16),
        (torch.bfloat16, torch.float32), (torch.float32, torch.float16),
    ],
    ids=str,
)  # fmt: skip
def test_convert(source, target):
    if source.is_floating_point:
        x = (torch.randn(100) * 99).to(source)
    else:
        x = torch.randint(-(2**40), 2**40, (100,)).to(source)
    y = torch.zeros(100, dtype=target)
    run(kernels.convert, [x, y, 100], TILE=128)
    assert torch.equal(y, x.to(target))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_transpose(dtype):
    x, y = torch.randn(32, 64).to(dtype), blank(64, 32, dtype=dtype)
    run(kernels.transpose, [x, y], M=32, N=64)
    assert torch.equal(y, x.T)


@pytest.mark.parametrize("rows, columns", [(16, 4), (11, 3), (1, 1), (16, 1), (0, 0)])
def test_rows_that_are_no_whole_blocks(rows, columns):
    x, y = torch.randn(16, 5), blank(16, 4)
    run(kernels.narrow_rows, [x, y, rows, columns], M=16, N=4)
    expected = torch.full((16, 4), 7.0)
    expected[:rows, :columns] = x[:rows, :columns]
    assert torch.equal(y, expected)


@pytest.mark.parametrize("n", [0, 1, 8, 11, 64])
def test_padding_on_the_left(n):
    x, y = torch.randn(64), blank(64)
    run(kernels.shifted, [x, y, n], TILE=64)
    assert torch.equal(y, torch.cat([torch.full((n,), -5.0), x[: 64 - n]]))


def test_axes_of_the_grid():
    y = blank(2 * 3 * 4, 8, dtype=torch.int32)
    run(kernels.places, [y], (2, 3, 4), N=8)
    expected = [100 * i + 10 * j + k for i in range(2) for j in range(3) for k in range(4)]
    assert y[:, 0].tolist() == expected and (y == y[:, :1]).all()


def test_early_return():
    x, y = torch.randn(4, 64), blank(4, 64)
    simulation = run(kernels.early_return, [x, y, 2], (4,), TILE=64)
    assert torch.equal(y[:2], 2 * x[:2]) and y[2:].isnan().all()
    assert simulation.bytes_read == 2 * 64 * 4 == simulation.bytes_written


def test_a_loop_as_long_as_the_data_says():
    x, lengths, y = torch.randn(4, 300), torch.tensor([0, 1, 300, 129], dtype=torch.int32), blank(4)
    run(kernels.ragged_sum, [x, lengths, y, 300], (4,), TILE=64)
    for row, length in enumerate(lengths.tolist()):
        assert abs(y[row] - x[row, :length].double().sum()) < 1e-4


def test_while():
    y = blank(1, dtype=torch.int32)
    run(kernels.collatz, [y, 27])
    assert y.item() == 111


def test_running_sum():
    x, y = torch.randn(2, 64), blank(2, 64)
    run(kernels.running_sum, [x, y], (2,), N=64)
    assert torch.allclose(y, x.cumsum(1), atol=1e-5)


@pytest.mark.parametrize(
    "change, error, complaint",
    [
        (lambda a: a[:3], ValueError, r"add takes 4 arguments \(x_ptr, y_ptr, z_ptr, n\), not 3"),
        (lambda a: [*a, 1], ValueError, "takes 4 arguments .* not 5"),
        (lambda a: [a[0].half(), *a[1:]], TypeError, "x_ptr is torch.float16, but the kernel was compiled for f32"),
        (lambda a: [a[0].to("meta"), *a[1:]], ValueError, "x_ptr is on meta; the simulator takes CPU tensors"),
        (lambda a: [5, *a[1:]], TypeError, "x_ptr must be a tensor of f32, not int"),
        (lambda a: [*a[:3], a[0]], TypeError, "n must be a number of type i32, not Tensor"),
        (lambda a: [*a[:3], 1.5], ValueError, "n = 1.5 does not fit i32"),
        (lambda a: [*a[:3], 2**31], ValueError, "n = 2147483648 does not fit i32"),
    ],
    ids=["few", "many", "dtype", "device", "number", "tensor", "float", "wide"],
)
def test_arguments_that_do_not_fit(change, error, complaint):
    program, args, grid = sums()
    with pytest.raises(error, match=complaint):
        simulate(program, change(args), grid)
    assert args[2].isnan().all()


@pytest.mark.parametrize("grid", [(), (0,), (1, 1, 1, 1), (-2,), (1.0,), (256, 256)], ids=str)
def test_a_grid_that_cannot_be_launched(grid):
    program, args, _ = sums()
    with pytest.raises(ValueError, match="grid"):
        simulate(program, args, grid)


def test_empty_tensors_and_gradients():
    program, args, _ = sums()
    simulate(program, [torch.empty(0), torch.empty(0), torch.empty(0), 0], (1,))
    x = args[0].clone().requires_grad_()
    simulate(program, [x, *args[1:]], (4,))
    assert torch.equal(args[2], (x + args[1]).detach()) and not args[2].requires_grad


def test_a_tensor_may_be_accessed_as_far_as_its_storage_goes():
    program, args, _ = sums(199)
    x = torch.randn(100, 2)[:, 1]
    for view in (x, x[:99]):
        simulate(program, [view, *args[1:]], (1,))
        assert torch.equal(args[2], torch.as_strided(x, (199,), (1,)) + args[1])
    with pytest.raises(OutOfBounds, match="elements 0 to 198 of x_ptr, which has -3 to 196"):
        simulate(program, [x[1:], *args[1:]], (1,))


def test_a_view_may_look_back_into_its_storage():
    x, y = torch.arange(64.0), blank(32)
    run(kernels.gather, [x[32:], -torch.arange(32), y], N=32)
    assert torch.equal(y, 32 - torch.arange(32.0))


def test_an_access_outside_a_tensor_names_operation_and_line():
    program, args, grid = sums()
    with pytest.raises(OutOfBounds) as caught:
        simulate(program, [args[0][:900].clone(), *args[1:]], grid)
    line = int(re.search(r"hivm.hir.load at .*kernels.py:(\d+): .*x_ptr, which has 900", str(caught.value))[1])
    source = open(kernels.__file__).read().splitlines()[line - 1]
    assert "x = tl.load(x_ptr + o_n" in source
    with pytest.raises(OutOfBounds, match="hivm.hir.store at .*z_ptr"):
        simulate(program, [*args[:2], args[2][:900].clone(), 1000], grid)
    with pytest.raises(OutOfBounds, match="x_ptr"):
        simulate(program, [args[0][:900].clone(), *args[1:]], grid, values=False)


def test_a_negative_offset_is_outside():
    with pytest.raises(OutOfBounds):
        args = [torch.randn(64), torch.tensor([-1] * 64), blank(64)]
        run(kernels.gather, args, N=64)


@pytest.mark.parametrize("name", ["hivm.hir.vadd", "hivm.hir.load", "arith.minsi", "hivm.hir.pipe_barrier"])
def test_an_unknown_operation_is_named_with_its_line(name):
    program, args, grid = sums()
    assert f'"{name}"' in program.hivm
    strange = replace(program, hivm=program.hivm.replace(f'"{name}"', '"hivm.hir.vmystery"', 1))
    with pytest.raises(UnsupportedProgram, match=r"hivm.hir.vmystery at .*kernels.py:\d+: .*not simulated"):
        simulate(strange, args, grid)


def test_an_unmodelled_form_of_an_operation_is_named_with_its_line():
    program, args, grid = sums()
    strange = replace(program, hivm=program.hivm.replace("#hivm.padmode<PadValue>", "#hivm.padmode<PadFirstElem>"))
    assert strange.hivm != program.hivm
    with pytest.raises(UnsupportedProgram, match=r"hivm.hir.load at .*kernels.py:\d+: padding"):
        simulate(strange, args, grid)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int8, torch.int32, torch.int64], ids=str)
def test_every_second(dtype):
    x, y = (9 * torch.randn(256)).to(dtype), blank(64, dtype=dtype)
    run(kernels.every_second, [x, y], N=64)
    assert torch.equal(y, x[:128:2])


def test_a_product_runs_on_the_cube_core():
    square = [torch.randn(32, 32).half(), torch.randn(32, 32).half(), blank(32, 32)]
    simulation = run(kernels.product, square, N=32)
    assert torch.allclose(square[2], square[0].float() @ square[1].float(), atol=1e-4)
    assert simulation.pipes["M"] and simulation.execution.kinds == ("AIC",)


@pytest.mark.parametrize("kernel", ["add", "running_sum", "collatz", "argmax"])
def test_without_values_outputs_stay_and_cycles_are_equal(kernel):
    if kernel == "add":
        program, args, grid = sums()
    else:
        args, constants = {
            "running_sum": ([torch.randn(2, 64), blank(2, 64)], dict(N=64)),
            "collatz": ([blank(1, dtype=torch.int32), 27], {}),
            "argmax": ([torch.randn(2, 900), blank(2, dtype=torch.int32), 900], dict(TILE=1024)),
        }[kernel]
        program, grid = build(getattr(kernels, kernel), args, **constants), (2 if constants else 1,)
    before = [arg.clone() for arg in args if isinstance(arg, torch.Tensor)]
    without = simulate(program, args, grid, values=False)
    after = [arg for arg in args if isinstance(arg, torch.Tensor)]
    assert all(torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in zip(before, after, strict=True))
    assert without == simulate(program, args, grid)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_equal_programs_share_a_trace():
    program, args, grid = sums(1024)
    execution = simulate(program, args, grid).execution
    assert len(execution.programs) == 4 and set(execution.programs) == {0} and len(execution.traces) == 1
    assert len(simulate(program, [*args[:3], 1000], grid).execution.traces) == 2


def test_on_another_chip_is_simulating_on_it():
    program, args, grid = sums()
    simulation = simulate(program, args, grid)
    assert simulation.chip == chip_named("Ascend910B3") and simulation.bound in ("S", "V", "MTE2", "MTE3")
    for chip in ("Ascend910B4", CHIPS["Ascend910B1"], CHIPS["Ascend910B1"].plausible(3)[2]):
        assert simulation.on(chip) == simulate(program, args, grid, chip=chip)
    assert simulation.on("Ascend910B4").microseconds != simulation.microseconds
    with pytest.raises(ValueError, match="unknown chip 'Ascend310'"):
        simulation.on("Ascend310")


def test_more_cores_at_work_never_make_one_faster():
    n, tile = 48 * 2048, 2048
    program, args, _ = sums(n, tile)
    cycles = [simulate(program, args, (cores,)).cycles for cores in (1, 2, 8, 20, 40)]
    assert cycles == sorted(cycles)


def test_programs_beyond_the_cores_cost_their_dispatch():
    """They are dispatched one after the other, as fast as cores are free (vllm-ascend #7496, FlagGems-vllm #816)."""
    program, args, _ = sums(40 * 64, 64)
    chip = chip_named("Ascend910B3")
    us = [simulate(program, args, (programs,)).microseconds for programs in (40, 400, 4000)]
    each = chip.constants["dispatch_us"]
    assert us[2] - us[1] == pytest.approx(3600 * each, rel=0.02) and us[1] - us[0] > 300 * each


def test_more_bandwidth_is_never_slower():
    program, args, _ = sums(40 * 8192, 8192)
    execution = simulate(program, args, (40,), values=False).execution
    chip = chip_named("Ascend910B3")
    times = [timed(execution, replace(chip, hbm_peak=chip.hbm_peak * scale)).cycles for scale in (0.1, 0.5, 1, 2)]
    assert times == sorted(times, reverse=True) and times[0] > 2 * times[-1]


def test_the_launch_is_part_of_the_time():
    program, args, grid = sums()
    simulation = simulate(program, args, grid)
    running = simulation.cycles / simulation.chip.frequency * 1e6
    assert simulation.microseconds == pytest.approx(simulation.chip.start_us(1) + running)
    assert simulation.microseconds > simulation.chip.start_us(math.prod(grid))
    assert simulation.bytes_read == 2 * 4 * 1000 and simulation.bytes_written == 4 * 1000
    assert 2 * 256 * 4 <= simulation.ub_peak_bytes <= 192 * 1024


def test_a_flag_that_nothing_sets_is_a_deadlock():
    program, args, grid = sums()
    place = program.hivm.index('"hivm.hir.set_flag"')
    end = program.hivm.index("\n", place)
    with pytest.raises(Deadlock, match="which nothing has set"):
        simulate(replace(program, hivm=program.hivm[:place] + program.hivm[end:]), args, grid)


@pytest.mark.parametrize("grid", [4, (), (0,), (True,), (1.0,), (1, 1, 1, 1), "4"])
def test_a_grid_that_is_none(grid):
    program, args, _ = sums()
    with pytest.raises(ValueError, match="must be a sequence of one to three positive integers"):
        simulate(program, args, grid)


def test_something_else_than_a_program():
    with pytest.raises(ValueError, match="takes what compile_kernel returns, not NoneType"):
        simulate(None, [], (1,))


def test_a_sparse_tensor():
    program, args, grid = sums()
    with pytest.raises(ValueError, match="is torch.sparse_coo; the simulator takes strided tensors"):
        simulate(program, [args[0].to_sparse(), *args[1:]], grid)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32], ids=str)
def test_unsigned_tensors_are_their_bits(dtype):
    signed = {torch.uint16: torch.int16, torch.uint32: torch.int32}[dtype]
    x, y = torch.randint(-1000, 1000, (64,), dtype=signed), blank(64, dtype=signed)
    program = build(kernels.add, [x, x, y, 64], TILE=64)
    simulate(program, [x.view(dtype), x.view(dtype), y.view(dtype), 64], (1,))
    assert torch.equal(y, x + x)
