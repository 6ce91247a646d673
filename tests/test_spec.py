import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
import triton
import triton.language as tl

from cold_kernels.arguments import In, Out, Scalar, Workspace
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.stage import Stage
from tests.specs import copies, copy_rows, declared, first_part, rows

ROOT = Path(__file__).parents[1]


@triton.jit
def strides_of_x(y_ptr, x_stride_N, M: tl.constexpr):
    tl.store(y_ptr + tl.arange(0, M), x_stride_N)


def operands(n=3, m=8, dtype=torch.float32):
    x = torch.randn(n, m).to(dtype)
    return dict(x=x, y=torch.empty_like(x), at=torch.zeros(n, dtype=torch.int64), s=0.5)


def test_a_parameter_that_nothing_binds():
    args = {name: arg for name, arg in copies.args.items() if name != "s"}
    with pytest.raises(ValueError, match="copy_rows: parameter 's' of copy_rows is bound by nothing"):
        declared(args=args)


def test_a_stride_along_an_unknown_dimension():
    space = {name: tunable for name, tunable in copies.space.items() if name != "PARTS"}
    with pytest.raises(ValueError, match="'y_stride_PARTS'.*bound by nothing"):
        declared(space=space, invariant=(), stages=(Stage(copy_rows, rows),))


def test_a_pointer_to_a_number():
    args = copies.args | {"x": Scalar("fp32")}
    with pytest.raises(ValueError, match="'x_ptr'.*bound by nothing"):
        declared(args=args)


def test_an_unknown_invariant():
    with pytest.raises(ValueError, match="invariant 'SPLIT' is no tunable of TILE, PARTS, DEPTH, AUTO"):
        declared(invariant=("SPLIT",))


def test_a_default_of_an_unknown_tunable():
    with pytest.raises(ValueError, match="by_hand 'SPLIT' is no tunable of TILE, PARTS, DEPTH, AUTO"):
        declared(by_hand=dict(SPLIT=lambda shape: 1))


def test_a_default_that_the_first_shape_decides():
    spec = declared(by_hand=dict(PARTS=lambda shape: 2 if shape.N < 4 else 1))
    few, many = (Case.parse(f"N={rows} M=8", spec).shape() for rows in (3, 4))
    assert spec.default_for(few) == spec.default_for(few, many) == Record(spec.default, PARTS=2)
    assert spec.default_for(many) == spec.default


def test_the_legal_configuration_nearest_to_a_default_of_the_shape():
    spec = declared(by_hand=dict(PARTS=lambda shape: 2, TILE=lambda shape: 4))
    assert spec.default_for(Case.parse("N=3 M=16", spec).shape()) == Record(spec.default, PARTS=2, TILE=16)


def test_a_workspace_of_a_size_that_is_counted():
    args = copies.args | dict(part=Workspace("HALVES N M", "fp32"))
    halves = dict(HALVES=lambda config, shape: config.PARTS * shape.N)
    spec = declared(args=args, counts=halves)
    shape = Case.parse("N=3 M=8", spec).shape()
    assert spec.workspace_size("part", Record(spec.default, PARTS=2), shape) == (6, 3, 8)
    assert spec.calls(operands(), Record(spec.default, PARTS=2), "ascend", 40)[0].arguments["y_ptr"].shape == (6, 3, 8)
    with pytest.raises(ValueError, match="workspace part has the size 'HALVES', which is none of N, M, TILE, PARTS"):
        declared(args=args)
    with pytest.raises(ValueError, match="count 'PARTS' is a dimension or a tunable"):
        declared(counts=dict(PARTS=lambda config, shape: 1))


@pytest.mark.parametrize("field", ["group", "bucket"])
def test_an_unknown_dimension(field):
    with pytest.raises(ValueError, match="'K' is no dimension of N, M"):
        declared(**{field: ("K",)})


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "a\\b", "a\n", None, 3])
def test_a_name_that_is_no_file_name(name):
    with pytest.raises(ValueError, match="is no file name"):
        declared(name=name)


@pytest.mark.parametrize(
    "change, complaint",
    [
        (dict(typical="N=4"), "copy_rows: typical: copy_rows: typical case 'N=4' lacks M"),
        (dict(typical="N=4 M=x"), "copy_rows: typical: .*cannot read 'M=x'"),
        (dict(hard=("N=1", "K=3")), "copy_rows: hard: .*cannot read 'K=3'"),
        (dict(targets=("N=-1",)), "copy_rows: targets: .*cannot read 'N=-1'"),
        (dict(targets="N=1"), "copy_rows: targets is one text"),
        (dict(limits=dict(M=7)), "copy_rows: typical: copy_rows: M = 8, but it takes M up to 7"),
        (dict(limits=dict(K=7)), "'K' is no dimension of N, M"),
    ],
)
def test_a_declaration_whose_cases_are_wrong(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        declared(**change)


def test_a_size_above_its_limit():
    limited = declared(limits=dict(M=8))
    assert limited.shape_of(operands(3, 8)).M == 8
    with pytest.raises(ValueError, match="copy_rows: M = 9, but it takes M up to 8"):
        limited.shape_of(operands(3, 9))
    with pytest.raises(ValueError, match="copy_rows: M = 9, but it takes M up to 8"):
        Case.parse("M=9", limited)


def test_the_rank_of_bgmv_is_limited():
    from cold_kernels.bgmv.expand import bgmv_expand
    from cold_kernels.bgmv.shrink import bgmv_shrink

    for spec in (bgmv_shrink, bgmv_expand):
        with pytest.raises(ValueError, match="R = 257, but it takes R up to 256"):
            Case.parse("R=257", spec)


def test_legal_for_several_shapes():
    shapes = [Record(N=3, M=m, dtype="fp32") for m in (4, 12)]
    assert {config.TILE for config in copies.configs(*shapes)} == {16}
    assert not copies.allows(copies.default, *shapes) and copies.allows(copies.default, shapes[0])


def test_an_unknown_element_type():
    with pytest.raises(ValueError, match="unknown element type 'fp8'"):
        In("N", "fp16 fp8")


def test_shape_of():
    assert copies.shape_of(operands(3, 8)) == Record(N=3, M=8, dtype="fp32")
    assert copies.key(copies.shape_of(operands(3, 8, torch.float16))) == Record(N=3, M=8, dtype="fp16")


@pytest.mark.parametrize(
    "change, error, complaint",
    [
        (dict(y=torch.empty(3, 7)), ValueError, "y has M = 7, but M = 8 elsewhere"),
        (dict(at=torch.zeros(2, dtype=torch.int64)), ValueError, "at has N = 2, but N = 3 elsewhere"),
        (dict(y=torch.empty(3, 8).half()), TypeError, "y is fp16, but must be fp32 like x"),
        (dict(x=torch.empty(3, 8).double()), TypeError, "x must be fp16 or fp32, not fp64"),
        (dict(at=torch.zeros(3)), TypeError, "at must be int32 or int64, not fp32"),
        (dict(x=torch.empty(24)), ValueError, r"x must have 2 dimensions \[N, M\], not shape \[24\]"),
        (dict(x=[1.0]), TypeError, r"x must be a tensor \[N, M\], not list"),
        (dict(x=torch.empty(3, 8).to(torch.complex64)), ValueError, "complex64 cannot be passed"),
    ],
    ids=["size", "size-of-index", "same-dtype", "dtype", "index-dtype", "dimensions", "no-tensor", "no-dtype"],
)
def test_operands_that_do_not_fit(change, error, complaint):
    with pytest.raises(error, match=complaint):
        copies.shape_of(operands() | change)


def test_a_missing_operand():
    args = operands()
    del args["at"]
    with pytest.raises(TypeError, match="copy_rows: tensor at is missing"):
        copies.shape_of(args)


def test_configs_are_all_legal_ones_in_order():
    shape = Record(N=3, M=8, dtype="fp32")
    configs = list(copies.configs(shape))
    assert len(configs) == len(set(configs)) == 2 * 2 * 2 * 2
    assert configs[0] == Record(TILE=8, PARTS=1, DEPTH=1, AUTO=True)
    assert configs[-1] == Record(TILE=16, PARTS=2, DEPTH=2, AUTO=False)
    assert not list(copies.configs(Record(N=3, M=17, dtype="fp32")))


def test_violations_are_signed():
    shape = Record(N=3, M=8, dtype="fp32")
    assert copies.violations(copies.default, shape) == {"tile_below_row": 0}
    assert copies.violations(Record(copies.default, TILE=4), shape) == {"tile_below_row": 4}
    assert copies.violations(Record(copies.default, TILE=16), shape) == {"tile_below_row": -8}


def test_one_stage_is_bound_by_name():
    args = operands()
    (call,) = copies.calls(args, Record(copies.default, DEPTH=2, AUTO=False), "ascend", cores=2)
    assert call.grid == (2,)
    assert list(call.arguments) == ["x_ptr", "y_ptr", "s", "N", "x_stride_N", "y_stride_N", "y_stride_PARTS"]
    assert call.arguments["x_ptr"] is args["x"] and call.arguments["s"] == 0.5
    assert call.arguments["y_stride_N"] == 8 and call.arguments["y_stride_PARTS"] == 0
    assert call.constants == {"M": 8, "TILE": 8, "PARTS": 1, "DEPTH": 2}
    assert call.options == {"multibuffer": False}


def test_stages_share_a_workspace():
    args = operands()
    first, second = copies.calls(args, Record(copies.default, PARTS=2), "cuda", cores=8)
    part = first.arguments["y_ptr"]
    assert part is second.arguments["part_ptr"] and part.shape == (2, 3, 8) and part.dtype == torch.float32
    assert first.arguments["y_stride_PARTS"] == 24 and first.arguments["y_stride_N"] == 8
    assert second.arguments["y_ptr"] is args["y"]
    assert "part" not in args
    assert first.options == {"num_stages": 1, "enable_fp_fusion": False}  # whatever a release of Triton does


def test_an_unknown_back_end():
    with pytest.raises(ValueError, match="unknown back end 'opencl'; use one of ascend, cuda, interpreter"):
        copies.calls(operands(), copies.default, "opencl", cores=1)


def test_a_stride_that_the_kernel_does_not_take():
    args = operands()
    args["x"] = torch.randn(3, 16)[:, ::2]
    with pytest.raises(ValueError, match="x must be contiguous along M, but its stride there is 2"):
        copies.calls(args, copies.default, "ascend", cores=2)
    wide = operands() | dict(x=torch.randn(3, 20)[:, :8])
    (call,) = copies.calls(wide, copies.default, "ascend", cores=2)
    assert call.arguments["x_stride_N"] == 20


def test_strides_alone_are_of_any_layout():
    """A kernel that has no pointer to a tensor does not read it."""
    stage = Stage(strides_of_x, rows)
    values = dict(x=torch.randn(3, 16)[:, ::2], y=torch.empty(1, 8))
    call = stage.bind(values, dict(M=8), copies.tensors, (1,), {})
    assert call.arguments["x_stride_N"] == 16


def test_ones_become_constants_unless_forbidden():
    args = operands(n=1, m=1)
    (call,) = copies.calls(args, copies.default, "ascend", cores=2)
    signature, constants, arguments = call.specialized()
    assert signature == {"x_ptr": "*fp32", "y_ptr": "*fp32", "s": "fp32", "N": "i32", "y_stride_PARTS": "i32"}
    assert constants == {"M": 1, "TILE": 8, "PARTS": 1, "DEPTH": 1, "x_stride_N": 1, "y_stride_N": 1}
    assert list(arguments) == list(signature)
    _, second = copies.calls(args, Record(copies.default, PARTS=2), "ascend", cores=2)
    assert second.specialized()[1]["N"] == 1


def test_specialisation_is_the_same_interpreted():
    check = (
        "import tests.test_spec as t, triton\n"
        "assert type(t.copy_rows).__name__ == 'InterpretedFunction'\n"
        "t.test_ones_become_constants_unless_forbidden(); t.test_one_stage_is_bound_by_name()"
    )
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, env=environment, check=True, timeout=60)


@pytest.mark.parametrize(
    "value, expected",
    [
        (torch.zeros(1, dtype=torch.bfloat16), "*bf16"),
        (torch.zeros(1, dtype=torch.uint8), "*u8"),
        (torch.zeros(1, dtype=torch.int64), "*i64"),
        (torch.zeros(1, dtype=torch.bool), "*i1"),
        (7, "i32"),
        (-(2**31), "i32"),
        (2**31, "i64"),
        (0.5, "fp32"),
        (True, "i1"),
    ],
    ids=str,
)
def test_signature_types(value, expected):
    from cold_kernels.stage import StageCall

    signature, _, _ = StageCall(first_part, (1,), {"part_ptr": value}, {}, {}).specialized()
    assert signature == {"part_ptr": expected}


def test_outputs_and_operands():
    assert copies.outputs == ("y",) and list(copies.operands) == ["x", "y", "at"]
    assert list(copies.tensors) == ["x", "y", "at", "part"] and copies.dims == ("N", "M")
    assert isinstance(copies.tensors["y"], type(Out("N")))


def test_group_and_shaping():
    shape = Record(N=3, M=8, dtype="fp32")
    assert copies.group_of(shape) == (8, "fp32")
    assert copies.shaping(Record(copies.default, PARTS=2)) == (2,)
