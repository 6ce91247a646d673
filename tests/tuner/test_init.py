"""What a draft makes of launches that were seen, without a compiler."""

import pytest

pytest.importorskip("triton")
from tuner.drafting.grids import formula
from tuner.drafting.launches import Seen, SeenLaunch, SeenTensor
from tuner.drafting.sizes import sizes_of


def tensor(*shape, dtype="fp32"):
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return SeenTensor(shape, tuple(strides), dtype, -1.0, 1.0, True)


def seen(*launches, constexprs=("BLOCK",)):
    return Seen(None, frozenset(constexprs), [SeenLaunch(values, (1,)) for values in launches])


def test_sizes_are_called_as_the_arguments_that_equal_them():
    found = sizes_of(seen({"x": tensor(5, 7), "stride_xm": 7, "stride_xn": 1, "M": 5, "N": 7}), ())
    assert found.dims == {"x": ["M", "N"]}
    assert found.strides == {"stride_xm": ("x", 0), "stride_xn": ("x", 1)}


def test_strides_go_to_the_tensor_that_their_name_has():
    values = {"x": tensor(5, 7), "y": tensor(5, 7), "y_row_stride": 7, "x_row_stride": 7, "n_cols": 7}
    assert sizes_of(seen(values), ()).strides == {"y_row_stride": ("y", 0), "x_row_stride": ("x", 0)}


def test_equal_sizes_have_one_name_only_where_something_says_so():
    one = {"x": tensor(8, 3), "w": tensor(8), "n": 3}
    assert sizes_of(seen(one), ()).dims == {"x": ["x_0", "n"], "w": ["w_0"]}
    other = {"x": tensor(9, 3), "w": tensor(9), "n": 3}
    found = sizes_of(seen(one, other), ())
    assert found.dims == {"x": ["x_0", "n"], "w": ["x_0"]}
    assert found.notes == ["x_0 of w was equal in all 2 launches"]


def test_a_number_of_elements_is_a_product_of_sizes():
    found = sizes_of(seen({"x": tensor(8, 3), "numel": 24}), ())
    assert found.counts == {"numel": "s.x_0 * s.x_1"}


def test_a_tile_that_nothing_else_replaced_covers_a_size():
    one = seen({"x": tensor(4, 100), "n": 100, "BLOCK": 128})
    one.free["BLOCK"] = False
    assert sizes_of(one, ()).counts == {"BLOCK": "triton.next_power_of_2(s.n)"}


def test_a_grid_is_the_product_that_explains_all_launches():
    at = [({"M": 100, "N": 64, "BM": 32, "BN": 16}, (16,)), ({"M": 100, "N": 64, "BM": 64, "BN": 16}, (8,))]
    terms, _ = formula(0, at, ["M", "N"], ["BM", "BN"])
    assert terms == (("M", "BM"), ("N", "BN"))
    assert formula(0, [({"M": 100, "BM": 32}, (23,))], ["M"], ["BM"]) is None
