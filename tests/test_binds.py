"""Parameters that a stage binds by what they are, and tensors that must be contiguous."""

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels.arguments import In, Out, Pointer, Stride
from tests.stranger_kernels import BINDS, declared, scaled_spec, stage


def operands(rows=3, columns=40):
    return dict(x=torch.randn(rows, columns), y=torch.empty(rows, columns), bias=torch.randn(columns))


def the_call(args, spec=scaled_spec):
    (call,) = spec.calls(args, spec.default, "ascend", 40, spec.shape_of(args))
    return call


def test_each_parameter_has_what_it_is_bound_to():
    args = operands() | {"x": torch.randn(40, 3).t()}
    call = the_call(args)
    assert call.arguments["X"] is args["x"] and call.arguments["Y"] is args["y"]
    assert (call.arguments["stride_xm"], call.arguments["stride_xn"]) == (1, 3)
    assert (call.arguments["rows"], call.arguments["columns"]) == (3, 40)


def test_a_stride_along_a_dimension_that_the_tensor_lacks_is_0():
    assert the_call(operands()).arguments["stride_bm"] == 0


def test_what_is_fixed_is_passed_and_nothing_is_compiled_in():
    call = the_call(operands())
    assert call.arguments["factor"] == 2.0
    assert call.constants["mask"] is None and "mask" not in call.arguments


def test_the_parameters_that_take_a_tensor_are_known():
    assert stage().given(scaled_spec.args) == {"X": "x", "Y": "y", "bias": "bias"}


def test_a_bind_of_no_parameter_is_refused():
    with pytest.raises(ValueError, match="binds: 'stride_zm' is no parameter of scaled, which has X, Y, bias"):
        stage({**BINDS, "stride_zm": Stride("x", "rows")})


@pytest.mark.parametrize("wrong", [Pointer("z"), Stride("z", "rows"), Stride("x", "depth")])
def test_a_bind_to_what_is_not_there_is_refused(wrong):
    name = "X" if isinstance(wrong, Pointer) else "stride_xm"
    with pytest.raises(ValueError, match=f"parameter '{name}' of scaled is bound by nothing"):
        declared(stages=(stage({**BINDS, name: wrong}),))


def test_a_stride_that_no_parameter_takes_must_be_1():
    args = operands() | {"bias": torch.randn(80)[::2]}
    with pytest.raises(ValueError, match="bias must be contiguous along columns, but its stride there is 2"):
        the_call(args)


def test_a_contiguous_tensor_needs_no_parameters_of_strides():
    the_call(operands())  # y has two dimensions, and the kernel takes no stride of it
    bare = declared(args={**scaled_spec.args, "y": Out("rows columns", same_dtype="x")})
    with pytest.raises(ValueError, match="y must be contiguous along rows, but its stride there is 40"):
        the_call(operands(), bare)


def test_a_tensor_declared_contiguous_is_refused_where_it_is_not():
    with pytest.raises(ValueError, match=r"y must be contiguous, but its strides are \(1, 3\)"):
        the_call(operands() | {"y": torch.empty(40, 3).t()})
    assert In("n", contiguous=True).contiguous and not In("n").contiguous
