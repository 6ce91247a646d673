import pytest
import torch

pytest.importorskip("triton")
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case, errors
from cold_kernels.record import Record
from tests.specs import copies


def parse(text):
    return Case.parse(text, bgmv_shrink)


def test_what_is_not_said_is_typical():
    assert parse("") == parse(bgmv_shrink.typical)
    case = parse("T=3,R=5 dtype=bf16")
    assert case.shape() == Record(T=3, L=4, H=4096, R=5, dtype="bf16")
    assert case.index_dtype == "int64" and not case.strided


@pytest.mark.parametrize("text", [*bgmv_shrink.hard, *bgmv_shrink.targets, "dtype=fp32 idx=-1/last/0 strided"])
def test_text_reads_back(text):
    case = parse(text)
    assert parse(str(case)) == case


@pytest.mark.parametrize(
    "word",
    ["T=-3", "T=", "T=1.5", "K=3", "dtype=int32", "dtype=fp8", "index=fp16", "index=int8", "idx=", "idx=some",
     "idx=0//1", "stride", "strided=1", "T"],
)  # fmt: skip
def test_words_that_are_none(word):
    with pytest.raises(ValueError, match="bgmv_shrink: cannot read.*T=SIZE.*idx=all"):
        parse(word)


def test_element_types_come_from_the_declaration():
    assert Case.parse("", copies).dtype == "fp16"
    with pytest.raises(ValueError, match="cannot read 'dtype=bf16'"):
        Case.parse("dtype=bf16", copies)


@pytest.mark.parametrize(
    "words, expected",
    [
        ("idx=all", [0, 1, 2, 0, 1]),
        ("idx=half", [0, 1, 2, -1, -1]),
        ("idx=none", [-1] * 5),
        ("idx=last/-1/0", [2, -1, 0, 2, -1]),
        ("idx=all L=0", [-1] * 5),
    ],
)
def test_indices(words, expected):
    args = parse(f"T=5 L=3 index=int32 {words}").tensors(bgmv_shrink)
    assert args["idx"].tolist() == expected and args["idx"].dtype == torch.int32


def test_tensors_fit_the_declaration():
    case = parse("T=5 H=33 R=6 dtype=bf16")
    args = case.tensors(bgmv_shrink)
    assert bgmv_shrink.shape_of(args) == case.shape()
    assert args["y"].isnan().all() and args["scale"] == 0.5
    assert torch.equal(args["x"], case.tensors(bgmv_shrink)["x"])
    assert not torch.equal(args["x"], case.tensors(bgmv_shrink, seed=1)["x"])


def test_strided_rows_have_nan_between():
    args = parse("T=5 H=33 R=6 strided").tensors(bgmv_shrink)
    for name in ("x", "a", "y"):
        tensor = args[name]
        assert tensor.stride(-2) == tensor.shape[-1] + 3 and tensor.stride(-1) == 1
        rows = tensor.numel() // tensor.shape[-1]
        around = torch.as_strided(tensor, (rows, 3), (tensor.stride(-2), 1), tensor.shape[-1])
        assert around.isnan().all()
    assert not args["x"].isnan().any()


def right(text="T=5 L=3 H=600 R=6 idx=0/-1/2", seed=0):
    args = parse(text).tensors(bgmv_shrink, seed)
    args["y"].copy_(bgmv_shrink.reference(**args)["y"])
    return args


def test_a_rounded_reference_is_right():
    assert errors(bgmv_shrink, right())["y"] <= 1
    assert errors(bgmv_shrink, right("T=0"))["y"] == 0
    assert errors(bgmv_shrink, right("H=1 R=1"))["y"] <= 1


@pytest.mark.parametrize("hidden", [64, 600, 4095])
@pytest.mark.parametrize("element", [0, -1])
def test_a_lost_product_is_wrong(hidden, element):
    args = right(f"T=4 L=3 H={hidden} R=6")
    lost = args["x"][:, element, None].double() * args["a"][args["idx"], :, element].double()
    args["y"] -= 0.5 * lost.float()
    assert errors(bgmv_shrink, args)["y"] > 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y: y[0].mul_(1.001),
        lambda y: y[2, 3].fill_(torch.nan),
        lambda y: y[2, 3].fill_(torch.inf),
        lambda y: y[1, 5].fill_(1e-30),
        lambda y: y[1].fill_(torch.nan),
        lambda y: y.copy_(y.flip(1)),
        lambda y: y.copy_(y.roll(1, 0)),
    ],
    ids=["scaled", "nan", "infinite", "base-row-not-zero", "base-row-left", "reversed", "another-row"],
)
def test_a_wrong_output_is_wrong(spoil):
    args = right()
    spoil(args["y"])
    assert errors(bgmv_shrink, args)["y"] > 1


def test_nan_and_infinity_are_right_where_the_reference_has_them():
    args = parse("T=4 L=3 H=64 R=6").tensors(bgmv_shrink)
    args["x"][0, 0], args["x"][1, 0] = torch.inf, torch.nan
    args["y"].copy_(bgmv_shrink.reference(**args)["y"])
    assert errors(bgmv_shrink, args)["y"] <= 1
    args["y"][0, 0] *= -1
    assert errors(bgmv_shrink, args)["y"] > 1
