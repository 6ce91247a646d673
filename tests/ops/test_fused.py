"""Shrink and expand in one operator, on the CPU path: values, slices, base rows, bits, what is refused."""

import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_expand_slice, bgmv_shrink, bgmv_shrink_expand, lora_row_order
from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand as spec
from cold_kernels.cases import Case
from cold_kernels.record import Record
from tests import every_kernel
from tests.every_kernel import bits, some_rows
from tests.ops.layouts import DTYPES

ARGUMENTS = "x", "a", "b", "y", "idx", "starts", "scale", "add", "order"


def tensors(text, seed=0):
    return every_kernel.tensors(spec, text, seed)


def run(args):
    order = args["order"]
    if order is not None and order.dim() == 1:  # as the kernel takes it
        order = lora_row_order(args["idx"]) if order.numel() else None
    given = args | dict(order=order)
    bgmv_shrink_expand(*(given[name] for name in ARGUMENTS))
    return args["y"]


def assert_right(args):
    run(args)
    every_kernel.assert_right(spec, args)
    base = args["idx"] < 0
    assert torch.equal(bits(args["y"][base]), bits(args["y_before"][base]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", spec.hard)
def test_hard_cases(case, dtype):
    assert_right(tensors(f"{case} dtype={dtype}"))


@pytest.mark.parametrize(
    "text",
    ["T=0", "T=6 L=0 idx=none", "T=3 D=0 H=40", "T=9 H=70 idx=none", "T=3 S=2 D=9 H=20 starts=3/3", "T=2 S=2 H=9 D=4"],
)
def test_edges(text):
    assert_right(tensors(text))


def test_columns_before_the_first_slice_are_left_alone():
    args = tensors("T=3 S=2 H=40 R=4 D=30 starts=7/20")
    assert torch.equal(run(args)[:, :7], args["y_before"][:, :7])
    every_kernel.assert_right(spec, {**args, "y": args["y"]})


def test_it_is_shrink_and_expand_of_each_slice():
    args = tensors("T=13 S=3 H=200 R=8 D=70 starts=0/40/55 dtype=fp32 idx=0/1/-1")
    y = args["y"].clone()
    for s, (start, end) in enumerate(((0, 40), (40, 55), (55, 70))):
        low = torch.empty(13, 8)
        bgmv_shrink(args["x"], args["a"][:, s], low, args["idx"], args["scale"])
        bgmv_expand_slice(low, args["b"][:, start:end], y, args["idx"], start, end - start)
    torch.testing.assert_close(run(args), y, rtol=1e-6, atol=1e-5)


def test_weights_of_four_dimensions():
    args = tensors("T=3 S=1 H=40 R=4 D=30")
    expected = run({**args, "y": args["y"].clone()})
    assert torch.equal(run({**args, "b": args["b"][:, None]}), expected)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_row_does_not_depend_on_the_others(data):
    rows = data.draw(st.integers(1, 40))
    rank, hidden = data.draw(st.sampled_from((1, 7, 16, 64))), data.draw(st.sampled_from((33, 256, 576)))
    args = tensors(f"T={rows} L=3 S=2 H={hidden} R={rank} D=60 starts=0/25 idx=0/-1/2/1 dtype=fp32")
    run(args)
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=12)))
    assert torch.equal(bits(run(some_rows(spec, args, some))), bits(args["y"][some]))


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [3, 8, 21, 64])
def test_interleaved_rows_have_the_bits_of_each_adapter_s_alone(rows, dtype, add):
    text = f"T={rows} L=4 S=2 H=576 R=8 D=100 starts=0/30 idx=0/2/-1/3/2 dtype={dtype}"
    args = tensors(text) | dict(add=add)
    run(args)
    idx = args["idx"]
    for some in (idx.argsort(stable=True), *((idx == slot).nonzero()[:, 0] for slot in idx.unique())):
        assert torch.equal(bits(run(some_rows(spec, args, some))), bits(args["y"][some]))


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (dict(x=torch.ones(3, 41)), ValueError, "lora_a_weights has hidden size 40, but inputs has 41"),
        (dict(a=torch.ones(2, 5, 40)), ValueError, "lora_a_weights must have 4 dimensions"),
        (dict(a=torch.ones(2, 2, 5, 40).half()), TypeError, "lora_a_weights has dtype torch.float16, but inputs has"),
        (dict(b=torch.ones(2, 30, 4)), ValueError, "lora_b_weights has rank 4, but lora_a_weights has 5"),
        (dict(b=torch.ones(3, 30, 5)), ValueError, "lora_b_weights has number of slots 3, but lora_a_weights has 2"),
        (dict(y=torch.ones(3, 31)), ValueError, "lora_b_weights has output size 30, but output_tensor has 31"),
        (dict(y=torch.ones(4, 30)), ValueError, "output_tensor has number of rows 4, but inputs has 3"),
        (dict(idx=torch.tensor([0, 1, 2])), IndexError, "lora_indices_tensor holds 2; it must be from -1 .base. to 1"),
        (dict(starts=torch.tensor([0])), ValueError, "slice_starts has number of slices 1, but lora_a_weights has 2"),
        (dict(starts=torch.tensor([20, 10])), ValueError, r"slice_starts holds \[20, 10\]; they must ascend"),
        (dict(starts=torch.tensor([0, 31])), ValueError, r"ascend from 0 or more to 30 at most"),
        (dict(starts=torch.tensor([0.0, 9.0])), TypeError, "slice_starts must be torch.int32 or torch.int64"),
        (dict(order=torch.tensor([[2, 0, 1]])), TypeError, "row_order must be torch.int32"),
        (dict(order=torch.zeros(3, 3).int()), ValueError, "row_order has rows 3"),
        (
            dict(order=torch.zeros(4, 9).int()),
            ValueError,
            "row_order has columns 9, but",
        ),
        (dict(order=torch.zeros(3, 4).int().T), ValueError, "row_order"),
        (dict(scale="1"), (TypeError, RuntimeError), "scaling"),
        (dict(scale=1e39), ValueError, "scaling is beyond the largest float32"),
        (
            dict(a=torch.ones(2, 2, 129, 40), b=torch.ones(2, 30, 129)),
            ValueError,
            "rank 129; it must be from 1 to 128; higher ranks take bgmv_shrink and bgmv_expand",
        ),
    ],
)
def test_what_is_refused(change, kind, words):
    args = dict(
        x=torch.ones(3, 40),
        a=torch.ones(2, 2, 5, 40),
        b=torch.ones(2, 30, 5),
        y=torch.ones(3, 30),
        idx=torch.tensor([0, 1, -1]),
        starts=torch.tensor([0, 10]),
        scale=1.0,
        add=True,
        order=None,
    )
    before = args["y"].clone()
    run(args | dict(y=before.clone()))
    with pytest.raises(kind, match=words):
        run(args | change)
    assert torch.equal(args["y"], before)


def test_the_output_may_not_be_the_input():
    args = tensors("T=3 S=1 H=30 R=4 D=30 dtype=fp32")
    with pytest.raises(ValueError, match="output_tensor shares memory with inputs"):
        run({**args, "y": args["x"]})


@pytest.mark.parametrize(
    "shape, share, cores",
    [
        ("T=4 S=1 D=4096", 2, 8),
        ("T=4 S=1 D=4096", 64, 32),  # tiles of 512 rows: eight parts
        ("T=30 S=1 D=4096", 2, 40),
        ("T=40 S=2 D=8192 starts=0/9", 1, 40),
        ("T=1 D=20", 64, 1),
    ],
)
def test_a_launch_has_a_core_for_each_part_of_an_item(shape, share, cores):
    config = Record(spec.default, SHARE=share)
    assert spec.stages[0].grid(config, Case.parse(shape, spec).shape(), 40) == (cores,)


def test_a_launch_of_spans_has_a_core_for_each():
    config = Record(spec.default, SCHEME="apart", SPAN=512)
    shape = Case.parse("T=2 S=2 H=1100 D=9 starts=0/4", spec).shape()
    assert [stage.when(config, shape) for stage in spec.stages] == [False, True, True]
    assert spec.stages[1].grid(config, shape, 40) == (12,) and spec.stages[1].grid(config, shape, 7) == (7,)
    assert spec.workspace_size("low", config, shape) == (2, 2, 3, 16)


@pytest.mark.parametrize("rank", (1, 8, 16, 17, 32, 64, 128))
def test_defaults_that_shape_sums_do_not_follow_rows(rank):
    chosen = [spec.default_for(Case.parse(f"T={rows} S=1 H=4096 R={rank} D=4096", spec).shape()) for rows in (1, 4, 64)]
    assert len({spec.shaping(config) for config in chosen}) == 1
    assert chosen[-1].SCHEME == "fused"


@pytest.mark.parametrize(
    "sizes, scheme",
    [
        ("T=1 H=4096 S=1 R=16 D=4096", "fused"),
        ("T=1 H=14336 S=1 R=16 D=4096", "apart"),
        ("T=1 H=4096 S=1 R=128 D=4096", "apart"),
        ("T=4 H=4096 S=1 R=64 D=4096", "apart"),
        ("T=16 H=4096 S=1 R=64 D=4096", "fused"),
        ("T=1 H=576 S=1 R=128 D=576", "fused"),
    ],
)
def test_the_scheme_by_default(sizes, scheme):
    assert spec.default_for(Case.parse(sizes, spec).shape()).SCHEME == scheme
