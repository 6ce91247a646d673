import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import torch

from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.simulator.timing.costs import Costs
from cold_kernels.ascend.simulator.trace.movement_costs import sort_work, weave_work
from tests.ascend.simulator.layouts import dense
from tests.ascend.simulator.programs import buffer, hand_written, tensor

TYPES = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32", torch.int16: "i16", torch.int32: "i32"}


def numbers(*shape, dtype=torch.float32):
    return torch.randperm(torch.Size(shape).numel()).reshape(shape).to(dtype)


def applied(operation, attributes, sources, target, layouts=()):
    """What an operation of dense buffers makes of ``sources``; ``layouts`` replaces the layouts of the buffers."""
    tensors, names, body, kinds, locals_ = [*sources, target], "abc"[: len(sources)] + "z", "", [], []
    for place, (name, value) in enumerate(zip(names, tensors, strict=True)):
        element = {**TYPES, torch.int64: "i64", torch.int8: "i8"}[value.dtype]
        kinds.append(f"memref<?x{element}, <gm>>")
        shape = f"{'x'.join(map(str, value.shape))}x{element}{layouts[place] if layouts else ''}"
        view, kind = tensor(f"{name}_global", f"%x{place}", tuple(value.shape), element)
        body += buffer(name, 32768 * place, shape) + view
        locals_.append(f"memref<{shape}, <ub>>")
        if name != "z":
            body += f"""
            "hivm.hir.load"(%{name}_global, %{name}) <{{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}}>
                : ({kind}, {locals_[-1]}) -> ()"""
    body += f"""
    "hivm.hir.{operation}"({", ".join(f"%{name}" for name in names)}) <{{{attributes}}}> : ({", ".join(locals_)}) -> ()
    "hivm.hir.store"(%z, %z_global) : ({locals_[-1]}, {kind}) -> ()"""
    return simulate(hand_written(body, *kinds), tensors, (1,))


def channel(k, n=2):
    return f"channel_num = {n} : i64, index_mode = #hivm.deinterleave_mode<CHANNEL_{k}>"


TWO = "interleave_channel_nums = 2 : i64, operandSegmentSizes = array<i32: 2, 1, 0>"


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(64,), (6,), (3, 32)], ids=str)
def test_every_second(shape, dtype):
    x = numbers(*shape[:-1], 2 * shape[-1], dtype=dtype)
    for k in (0, 1):
        y = torch.zeros(shape, dtype=dtype)
        applied("vdeinterleave", channel(k), [x], y)
        assert torch.equal(y, x[..., k::2])


def test_the_others_are_skipped_by_the_stride():
    x, y = numbers(40), torch.zeros(40)
    applied("vdeinterleave", channel(0, 8), [x], y, [", strided<[8]>", ""])
    assert torch.equal(x, y)


def test_a_row_that_is_as_wide_as_its_target_is_copied():
    x, y = numbers(40), torch.zeros(40)
    applied("vdeinterleave", channel(0, 8), [x], y, [", strided<[8]>", ", strided<[8]>"])
    assert torch.equal(x, y)


def test_rows_that_come_that_much_closer():
    x, y = numbers(4, 16), torch.zeros(4, 16)
    applied("vdeinterleave", channel(0, 8), [x], y, [", strided<[128, 8]>", ""])
    assert torch.equal(x, y)


@pytest.mark.parametrize("layouts", [[", strided<[128, 8]>"] * 2, [", strided<[256, 8]>", ""]], ids=str)
def test_rows_that_the_library_leaves_alone(layouts):
    with pytest.raises(UnsupportedProgram, match="vdeinterleave at .*elements 8 apart.*which the device leaves undone"):
        applied("vdeinterleave", channel(0, 8), [numbers(4, 16)], torch.zeros(4, 16), layouts)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(64,), (6,), (3, 32)], ids=str)
def test_two_into_one(shape, dtype):
    a, b = numbers(*shape, dtype=dtype), -numbers(*shape, dtype=dtype)
    y = torch.zeros(*shape[:-1], 2 * shape[-1], dtype=dtype)
    applied("vinterleave", TWO, [a, b], y)
    assert torch.equal(y, torch.stack([a, b], dim=-1).flatten(-2))


@pytest.mark.parametrize("dtype", [*TYPES, torch.int8, torch.int64], ids=str)
@pytest.mark.parametrize("shape", [(64,), (5,), (3, 32)], ids=str)
def test_backwards(shape, dtype):
    x = numbers(*shape).to(dtype)
    y = torch.zeros_like(x)
    applied("vflip", f"flip_axis = {len(shape) - 1} : i64", [x], y)
    assert torch.equal(y, x.flip(-1))


def ordering(down, axis):
    flag = "true" if down else "false"
    return f"descending = {flag}, sort_axis = {axis} : i64, operandSegmentSizes = array<i32: 1, 1, 0>"


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("shape", [(32,), (256,), (3, 96)], ids=str)
def test_sorted(shape, down, dtype):
    x = (numbers(*shape) - 50).to(dtype)
    x.view(-1)[3], x.view(-1)[7], x.view(-1)[8] = torch.inf, -torch.inf, torch.nan
    y = torch.zeros_like(x)
    applied("vsort", ordering(down, len(shape) - 1), [x], y)
    assert torch.equal(y.nan_to_num(1e9), x.sort(dim=-1, descending=down).values.nan_to_num(1e9))


def test_filling_up_takes_the_scalar_unit():
    full, short = (dict(sort_work(dense(1, columns), True).counts) for columns in (64, 56))
    assert short["scalar_local"] == full["scalar_local"] + 8
    assert {**full, "scalar_local": 0} == {**short, "scalar_local": 0}


STRIDED = ", strided<[2]>"


@pytest.mark.parametrize(
    "operation, attributes, sources, target, layouts",
    [
        ("vdeinterleave", channel(1, 3), [(64,)], (64,), ()),
        ("vdeinterleave", channel(0, 3), [(64,)], (64,), ()),
        ("vdeinterleave", channel(0), [(64,)], (64,), ()),
        ("vdeinterleave", channel(0), [(64,)], (31,), ()),
        ("vinterleave", TWO, [(8,), (8,)], (17,), ()),
        ("vinterleave", TWO.replace("= 2 ", "= 3 "), [(8,), (8,)], (16,), ()),
        ("vflip", "flip_axis = 0 : i64", [(4, 8)], (4, 8), ()),
        ("vflip", "flip_axis = 0 : i64", [(8,)], (8,), ["", ", strided<[8]>"]),
        ("vsort", ordering(True, 0), [(48,)], (48,), ()),
        ("vsort", ordering(True, 0), [(32, 32)], (32, 32), ()),
    ],
)
def test_forms_that_are_not_simulated(operation, attributes, sources, target, layouts):
    with pytest.raises(UnsupportedProgram, match=f"hivm.hir.{operation} at .* is not simulated"):
        applied(operation, attributes, [numbers(*shape) for shape in sources], torch.zeros(target), layouts)


def test_types_that_are_not_simulated():
    for operation, attributes, dtype in (
        ("vdeinterleave", channel(0), torch.int64),
        ("vdeinterleave", channel(0), torch.int8),
        ("vsort", ordering(True, 0), torch.int64),
    ):
        x = numbers(64).to(dtype)
        with pytest.raises(UnsupportedProgram, match="elements of type int"):
            applied(operation, attributes, [x], x[:: 1 if operation == "vsort" else 2].clone())


def test_a_row_off_its_block_is_moved_one_by_one():
    x, y = numbers(128), torch.zeros(64)
    apart = applied("vdeinterleave", channel(0), [x], y, [STRIDED.replace("2", "8"), ""])
    assert torch.equal(y, x[::2])
    together = applied("vdeinterleave", channel(0), [x], y)
    assert apart.pipes["S"] > together.pipes["S"] + 2 * 64 * apart.chip.constants["scalar_local"]


def test_longer_rows_cost_more():
    from cold_kernels.ascend.chips import chip_named

    costs = Costs(chip_named("Ascend910B3"), 100)
    for work in (
        lambda n: weave_work(dense(n), dense(n), dense(2 * n)),
        lambda n: sort_work(dense(1, n), False),
        lambda n: sort_work(dense(1, n, size=2), True),
    ):
        cycles = [costs(work(n)).pipe for n in (32, 64, 256, 1024, 4096)]
        assert cycles == sorted(cycles) and cycles[-1] > 10 * cycles[0]
    one, two = (costs(sort_work(dense(rows, 64), True)).pipe for rows in (1, 2))
    assert two == pytest.approx(2 * one)
