import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import numpy as np
import torch

from cold_kernels.ascend import simulate
from cold_kernels.ascend.simulator.dialects.reductions import FOLDS, fold, with_index
from tests.ascend.simulator.programs import buffer, hand_written, tensor

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 65, 127, 128, 130, 300])
@pytest.mark.parametrize("lanes", [1, 64])
def test_folds_are_right(size, axis, lanes):
    shape = [3, 4, 5]
    shape[axis] = size
    values = RANDOM.standard_normal(shape).astype(np.float32)
    before = values.copy()
    total = fold(np.add, values, axis, lanes)
    assert total.shape == tuple(1 if place == axis else length for place, length in enumerate(shape))
    exact = values.sum(axis, dtype=np.float64, keepdims=True)
    assert np.abs(total - exact).max() <= 2e-7 * np.abs(values).sum(axis).max()
    assert np.array_equal(fold(np.maximum, values, axis, lanes), values.max(axis, keepdims=True))
    assert np.array_equal(values, before)


@pytest.mark.parametrize("kind, function", [("xori", np.bitwise_xor), ("ori", np.bitwise_or), ("andi", np.bitwise_and)])
def test_bits(kind, function):
    values = RANDOM.integers(0, 2**31, (4, 37)).astype(np.int32)
    assert np.array_equal(fold(FOLDS[kind], values, 1), function.reduce(values, axis=1, keepdims=True))


def test_integer_sums_wrap():
    values = np.full((1, 3), 2**30, np.int32)
    assert fold(np.add, values, 1).item() == 3 * 2**30 - 2**32


def test_half_sums_round_in_half():
    values = np.array([2048, 1, 1, 1], np.float16)
    assert fold(np.add, values, 0).item() == 2050  # (2048 + 1) + (1 + 1), ties to even


def test_order_of_a_sum():
    def plus(a, b):
        return np.array([f"({x}{y})" for x, y in zip(a, b, strict=True)], object)

    terms = np.array(list("012345"), object)
    assert fold(plus, terms, 0)[0] == "(((02)4)((13)5))"
    assert fold(plus, terms, 0, lanes=4)[0] == "(((04)(15))(23))"


def test_lanes_of_a_repeat_go_in_pairs():
    def plus(a, b):
        return np.array([f"({x}{y})" for x, y in zip(a, b, strict=True)], object)

    terms = np.array(list("0123456"), object)
    assert fold(plus, terms, 0, lanes=8)[0] == "(((01)(23))((45)6))"


@pytest.mark.parametrize(("axis", "total"), [(0, 2), (1, 0)])
def test_only_lanes_of_the_last_axis_go_in_pairs(axis, total):
    """Four terms: (0 + 2) + (1 + 3) of rows, (0 + 1) + (2 + 3) of lanes of one repeat, which float32 tells apart."""
    shape, result = ((4, 8), (1, 8)) if axis == 0 else ((8, 4), (8, 1))
    source, source_kind = tensor("x", "%x0", shape, "f32")
    target, target_kind = tensor("y", "%x1", result, "f32")
    many, few = (f"{rows}x{columns}xf32" for rows, columns in (shape, result))
    body = f"""{source}{target}{buffer("a", 0, many)}{buffer("b", 4096, few)}
    "hivm.hir.load"(%x, %a) <{{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}}>
        : ({source_kind}, memref<{many}, <ub>>) -> ()
    "hivm.hir.vreduce"(%a, %b) <{{arith = #hivm.reduce_op<sum>, operandSegmentSizes = array<i32: 1, 1, 0, 0>,
        reduce_dims = array<i64: {axis}>}}> : (memref<{many}, <ub>>, memref<{few}, <ub>>) -> ()
    "hivm.hir.store"(%b, %y) : (memref<{few}, <ub>>, {target_kind}) -> ()
    """
    terms = torch.tensor([1e8, 1.0, -1e8, 1.0])  # 1e8 + 1 is 1e8
    x = terms[:, None].expand(4, 8) if axis == 0 else terms.expand(8, 4)
    y = torch.full(result, torch.nan)
    simulate(hand_written(body, "memref<?xf32, <gm>>", "memref<?xf32, <gm>>"), [x.contiguous(), y], (1,))
    assert y.flatten().tolist() == [total] * 8


@pytest.mark.parametrize("lanes", [1, 64])
def test_nan_shows(lanes):
    values = np.zeros((1, 100), np.float32)
    values[0, 77] = np.nan
    assert np.isnan(fold(np.maximum, values, 1, lanes)).all() and np.isnan(fold(np.add, values, 1, lanes)).all()


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("max_with_index_left", (9, 1)),
        ("max_with_index_right", (9, 3)),
        ("min_with_index_left", (-1, 2)),
        ("min_with_index_right", (-1, 4)),
    ],
)
def test_index_among_equals(kind, expected):
    best, index = with_index(kind, np.array([0, 9, -1, 9, -1, 5], np.float32), 0)
    assert (best.item(), index.item()) == expected and index.dtype == np.int32


def test_index_along_the_first_axis():
    values = RANDOM.standard_normal((7, 5)).astype(np.float32)
    best, index = with_index("max_with_index_left", values, 0)
    assert np.array_equal(best, values.max(0, keepdims=True)) and np.array_equal(index[0], values.argmax(0))


@pytest.mark.parametrize("kind", ["max_with_index_left", "min_with_index_left"])
def test_the_first_nan_wins(kind):
    best, index = with_index(kind, np.array([1, np.nan, 9, np.nan, -9], np.float32), 0)
    assert np.isnan(best).all() and index.item() == 1
