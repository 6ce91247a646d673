import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import numpy as np
import torch

from cold_kernels.ascend import UnsupportedProgram, simulate
from cold_kernels.ascend.simulator.core.memory import BIT, ELEMENT_TYPES
from cold_kernels.ascend.simulator.dialects.casts import conversion
from tests.ascend.simulator.programs import buffer, hand_written

VALUES = [-2.5, -1.5, -1.2, -0.5, 0.0, 0.5, 0.7, 1.5, 2.5]


class Op:
    def unsupported(self, what):
        return UnsupportedProgram(what)


def cast(values, source, target, mode="rint", sign="cast_signed"):
    values = np.array(values, np.bool_ if source == BIT else ELEMENT_TYPES[source])
    with np.errstate(all="ignore"):
        return conversion(Op(), source, target, mode, sign)(values)


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("rint", [-2, -2, -1, 0, 0, 0, 1, 2, 2]),
        ("round", [-3, -2, -1, -1, 0, 1, 1, 2, 3]),
        ("floor", [-3, -2, -2, -1, 0, 0, 0, 1, 2]),
        ("ceil", [-2, -1, -1, 0, 0, 1, 1, 2, 3]),
        ("trunc", [-2, -1, -1, 0, 0, 0, 0, 1, 2]),
    ],
)
def test_rounding(mode, expected):
    assert cast(VALUES, "f32", "i32", mode).tolist() == expected
    assert cast(VALUES, "f32", "f32", mode).tolist() == expected


def test_float_to_integer_saturates_and_nan_is_zero():
    wild = [np.nan, np.inf, -np.inf, 3e9, -3e9, 2**31]
    assert cast(wild, "f32", "i32").tolist() == [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 2**31 - 1]
    assert cast(wild, "f32", "i64").tolist() == [0, 2**63 - 1, -(2**63), 3 * 10**9, -3 * 10**9, 2**31]
    assert cast([-200, 127.4, 127.6, 300], "f16", "i8").tolist() == [-128, 127, 127, 127]
    assert cast([-1, 200, 255.4, 300], "f16", "i8", sign="cast_unsigned").view(np.uint8).tolist() == [0, 200, 255, 255]


def test_integer_to_integer_saturates_unless_it_truncates():
    wide = [300, -300, 5, 2**31 - 1]
    assert cast(wide, "i32", "i8").tolist() == [127, -128, 5, 127]
    assert cast(wide, "i32", "i8", "truncwithoverflow").tolist() == [44, -44, 5, -1]
    assert cast([2**40 + 3], "i64", "i32", "truncwithoverflow").tolist() == [3]
    assert cast([-1, 7], "i8", "i32").tolist() == [-1, 7]
    assert cast([-1, 7], "i8", "i32", sign="cast_unsigned").tolist() == [255, 7]


def test_integer_to_float():
    assert cast([-1, 7], "i8", "f16").tolist() == [-1, 7]
    assert cast([-1, 7], "i8", "f16", sign="cast_unsigned").tolist() == [255, 7]
    assert cast([2**24 + 1, 2**24 + 3], "i32", "f32").tolist() == [2**24, 2**24 + 4]
    assert cast([100], "i16", "f32", "trunc").tolist() == [100]
    with pytest.raises(UnsupportedProgram, match="rounding trunc from i32 to f32"):
        cast([2**24 + 1], "i32", "f32", "trunc")


@pytest.mark.parametrize("target, dtype", [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_float_to_narrower_float_is_torchs(target, dtype):
    values = torch.randn(10000, generator=torch.Generator().manual_seed(0)) * torch.logspace(-9, 6, 10000)
    wild = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65520.0, 1e39, torch.inf, -0.0])
    values = torch.cat([values, wild])
    mine = cast(values.numpy(), "f32", target).astype(np.float32)
    assert np.array_equal(mine, values.to(dtype).float().numpy())
    assert np.isnan(cast([np.nan], "f32", target).astype(np.float32)).all()


def test_bfloat16_ties_go_to_even():
    step = 2.0**-7
    assert cast([1 + step / 2, 1 + 3 * step / 2, -1 - step / 2], "f32", "bf16").tolist() == [1, 1 + 2 * step, -1]


STEP = 2.0**-10
"""From 1 to the next fp16."""


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("rint", [0, 2, -2, 0]),
        ("round", [1, 2, -2, 1]),
        ("floor", [0, 1, -2, 0]),
        ("ceil", [1, 2, -1, 1]),
        ("trunc", [0, 1, -1, 0]),
    ],
)
def test_directed_rounding_onto_narrower_floats(mode, expected):
    *normal, subnormal = expected
    values = [1 + STEP / 2, 1 + 1.5 * STEP, -1 - 1.5 * STEP, 2.0**-25]
    wanted = [*((1 if place >= 0 else -1) + place * STEP for place in normal), subnormal * 2.0**-24]
    assert cast(values, "f32", "f16", mode).tolist() == wanted
    step, least = 2.0**-7, 2.0**-133
    values = [1 + step / 2, 1 + 1.5 * step, -1 - 1.5 * step, least / 2]
    wanted = [*((1 if place >= 0 else -1) + place * step for place in normal), subnormal * least]
    assert cast(values, "f32", "bf16", mode).tolist() == wanted
    assert cast([1.5], "f16", "f32", mode).tolist() == [1.5]


@pytest.mark.parametrize("mode", ["round", "floor", "ceil", "trunc"])
def test_directed_rounding_keeps_what_is_no_number_or_too_large(mode):
    wild = cast([np.nan, np.inf, -np.inf, 1e6, 0.0, -0.0], "f32", "f16", mode)
    assert np.isnan(wild[0]) and wild[1:].tolist() == [np.inf, -np.inf, np.inf, 0, 0] and np.signbit(wild[5])
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    near = cast(values, "f32", "f16", mode).astype(np.float64)
    assert (np.abs(near - values) < np.spacing(np.abs(values.astype(np.float16))).astype(np.float64) * 1.001).all()
    exact = near.astype(np.float32)
    assert np.array_equal(cast(exact, "f32", "f16", mode), exact.astype(np.float16))


def test_rounding_to_odd_is_refused():
    with pytest.raises(UnsupportedProgram, match="rounding odd from f32 to f16"):
        cast([1.0], "f32", "f16", "odd")


def test_booleans():
    assert cast([True, False], BIT, "f16").tolist() == [1, 0]
    assert cast([True, False], BIT, "i32").tolist() == [1, 0]
    assert cast([0.0, -0.0, 1e-7, np.nan], "f16", BIT).tolist() == [False, False, True, True]


def test_bitcast():
    assert cast([1.0], "f32", "i32", sign="bitcast").tolist() == [0x3F800000]


@pytest.mark.parametrize(
    "source, target, why",
    [
        ("64x8xbf16", "64x8xf32", "from bf16 to f32 of unaligned rows, which the device leaves undone"),
        ("64x4xf32", "64x4xf16", "from f32 to f16 of unaligned rows, which the device traps at"),
        ("64x8xbf16, strided<[16, 1]>", "64x8xf32", None),
        ("64x8xf16", "64x8xf32", None),  # a loop of the scalar unit, which has this cast
    ],
)
def test_casts_that_the_device_does_not_do_row_by_row_are_refused(source, target, why):
    body = buffer("x", 0, source) + buffer("y", 8192, target)
    body += f"""
    "hivm.hir.vcast"(%x, %y) <{{broadcast = array<i64>, cast = #hivm.cast<cast_signed>, transpose = array<i64>,
        operandSegmentSizes = array<i32: 1, 1, 0>, round_mode = #hivm.round_mode<rint>}}>
        : (memref<{source}, <ub>>, memref<{target}, <ub>>) -> ()
    """
    program = hand_written(body)
    if why is None:
        simulate(program, [], (1,))
        return
    with pytest.raises(UnsupportedProgram, match=why):
        simulate(program, [], (1,))
