import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_shrink
from cold_kernels.bgmv.shrink import bgmv_shrink as spec
from tests import every_kernel
from tests.every_kernel import far
from tests.ops.layouts import DTYPES, FLOATS, INDICES, LAYOUTS, every_other, indices, laid_out, untouched_around


def tensors(text, seed=0):
    return every_kernel.tensors(spec, text, seed)


def run(args):
    bgmv_shrink(args["x"], args["a"], args["y"], args["idx"], args["scale"])
    return args["y"]


def assert_right(args):
    run(args)
    every_kernel.assert_right(spec, args)
    assert not args["y"][args["idx"] < 0].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", spec.hard)
def test_hard_cases(case, dtype):
    assert_right(tensors(f"{case} dtype={dtype}"))


@pytest.mark.parametrize(
    "text",
    ["T=0", "T=6 L=0 idx=none", "T=3 H=0", "T=3 R=256 H=40", "T=9 idx=none", "T=34 L=2 H=300 R=24"],
)
def test_edges(text):
    assert_right(tensors(text))


def test_weights_of_four_dimensions():
    args = tensors("T=5 H=70 R=6")
    expected = run(args).clone()
    args["y"].fill_(torch.nan)
    bgmv_shrink(args["x"], args["a"][:, None], args["y"], args["idx"], args["scale"])
    assert torch.equal(args["y"], expected)


@settings(deadline=None, max_examples=30)
@given(
    data=st.data(), rows=st.integers(0, 6), slots=st.integers(1, 4), hidden=st.integers(1, 300),
    rank=st.integers(1, 20) | st.sampled_from([64, 100, 255]), dtype=st.sampled_from(FLOATS),
    index_dtype=st.sampled_from(INDICES), layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 3), spread=st.booleans(),
    scale=st.sampled_from([1, 0.5, -3.0, 0]),
)  # fmt: skip
def test_any_shape_layout_and_index(data, rows, slots, hidden, rank, dtype, index_dtype, layouts, spread, scale):
    generator = torch.Generator().manual_seed(rows + hidden * rank)
    x, _ = laid_out(torch.randn(rows, hidden, generator=generator).to(dtype), layouts[0])
    a, _ = laid_out(torch.randn(slots, rank, hidden, generator=generator).to(dtype), layouts[1])
    y, whole = laid_out(torch.full((rows, rank), torch.nan), layouts[2])
    idx = data.draw(indices(slots, rows)).to(index_dtype)
    assert_right(dict(x=x, a=a, y=y, idx=every_other(idx) if spread else idx, scale=scale))
    assert untouched_around(y, whole)


@pytest.mark.parametrize("name", ["x", "a", "y"])
def test_offsets_of_more_than_32_bits(name):
    args = tensors("T=3 L=3 H=70 R=6 idx=1/-1/2")
    args[name] = far(args[name])
    assert_right(args)


def test_rows_and_slots_that_share_memory():
    args = tensors("T=5 L=3 H=70 R=6 idx=0/-1/2")
    args["x"] = args["x"][:1].expand(5, 70)
    assert_right(args)
    args["a"] = args["a"][:1].expand(3, 6, 70)
    assert_right(args)
    args["x"] = args["x"][:, :1].expand(5, 70)
    assert_right(args)


def test_special_values_stay_in_their_row():
    args = tensors("T=5 L=4 H=70 R=6 dtype=fp32 idx=0/1/-1/2/0")
    finite = run(args).clone()
    args["x"][2], args["a"][3] = torch.inf, torch.nan  # a base row and a slot that nobody uses
    assert torch.equal(run(args), finite)
    args["x"][0, 3], args["x"][1, 69], args["a"][2, 5, 0] = torch.inf, torch.nan, -torch.inf
    assert_right(args)
    assert args["y"][1].isnan().all() and args["y"][0].isinf().all() and torch.equal(args["y"][4], finite[4])


def test_default_scaling_is_one_and_others_count():
    args = tensors("T=5 H=70 R=6")
    args["scale"] = 1.0
    assert_right(args)
    one = torch.empty_like(args["y"])
    bgmv_shrink(args["x"], args["a"], one, args["idx"])
    assert torch.equal(one, args["y"])
    bgmv_shrink(args["x"], args["a"], one, args["idx"], scaling=-2)
    assert torch.equal(one, -2 * args["y"])


def test_tensors_that_require_a_gradient():
    for dtype in DTYPES:
        args = tensors(f"T=5 H=70 R=6 dtype={dtype}")
        expected = run(args).clone()
        for name in ("x", "a", "y"):
            args[name].requires_grad_()
        assert torch.equal(run(args), expected) and args["y"].grad_fn is None


def test_an_output_beside_its_inputs():
    args = tensors("T=4 H=6 R=6 dtype=fp32")
    both = torch.randn(4, 12)
    args["x"], args["y"] = both[:, :6], both[:, 6:]
    assert_right(args)


@settings(deadline=None, max_examples=15)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), hidden=st.sampled_from([1, 7, 64, 513]), rank=st.integers(1, 9))
def test_a_row_does_not_depend_on_the_others(data, dtype, hidden, rank):
    rows, slots = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    idx = torch.tensor(data.draw(st.lists(st.integers(-1, slots - 1), min_size=rows, max_size=rows)))
    args = tensors(f"T={rows} L={slots} H={hidden} R={rank} dtype={dtype}") | dict(idx=idx)
    together = run(args).clone()
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=20)))
    batch = args | dict(x=args["x"][some], idx=idx[some], y=torch.full((len(some), rank), torch.nan))
    assert torch.equal(run(batch), together[some])
    for row in set(some.tolist()[:3]):
        alone = args | dict(x=args["x"][row, None], idx=idx[row, None], y=torch.full((1, rank), torch.nan))
        assert torch.equal(run(alone)[0], together[row])


def test_a_single_output_sums_in_the_order_of_many():
    args = tensors("T=5 L=2 H=131072 R=1 dtype=fp32 idx=0/1/1/0/1")
    together = run(args).clone()
    for row in range(5):
        alone = args | dict(x=args["x"][row, None], idx=args["idx"][row, None], y=torch.full((1, 1), torch.nan))
        assert torch.equal(run(alone)[0], together[row])


def other(name, change):
    args = tensors("T=4 L=3 H=70 R=6")
    args[name] = change(args[name])
    return args


BAD = {
    "index-past-last": ("idx", lambda t: t + 1, IndexError, r"holds 3; it must be from -1 \(base\) to 2"),
    "index-below": ("idx", lambda t: t - 2, IndexError, r"holds -2; it must be from -1"),
    "inputs-no-tensor": ("x", lambda t: t.tolist(), TypeError, "inputs must be a tensor, not list"),
    "inputs-dtype": ("x", lambda t: t.double(), TypeError, "inputs must be .*float16.* not torch.float64"),
    "inputs-dims": ("x", lambda t: t[0], ValueError, r"inputs must have 2 dimensions, not shape \[70\]"),
    "weights-dtype": ("a", lambda t: t.bfloat16(), TypeError, "lora_a_weights has dtype torch.bfloat16, but inputs"),
    "weights-dims": (
        "a",
        lambda t: t[0],
        ValueError,
        r"lora_a_weights must be \[slots, …, …\] or \[slots, 1, …, …\], not shape",
    ),
    "weights-middle": ("a", lambda t: t[:, None].expand(3, 2, 6, 70), ValueError, r"not shape \[3, 2, 6, 70\]"),
    "hidden": ("a", lambda t: t[..., 1:], ValueError, "hidden size 69, but inputs has 70"),
    "output-dtype": ("y", lambda t: t.half(), TypeError, "output_tensor must be torch.float32, not torch.float16"),
    "output-rows": ("y", lambda t: t[1:], ValueError, "output_tensor has number of rows 3, but inputs has 4"),
    "output-rank": ("y", lambda t: t[:, 1:], ValueError, "output_tensor has rank 5, but lora_a_weights has 6"),
    "output-repeats": ("y", lambda t: t[:, :1].expand(4, 6), ValueError, "output_tensor repeats memory"),
    "output-diagonal": ("y", lambda t: t.as_strided((4, 6), (1, 1)), ValueError, "output_tensor repeats memory"),
    "output-device": ("y", lambda t: t.to("meta"), ValueError, "output_tensor has device meta, but inputs has cpu"),
    "index-dtype": ("idx", lambda t: t.short(), TypeError, "torch.int32 or torch.int64, not torch.int16"),
    "index-rows": ("idx", lambda t: t[1:], ValueError, "lora_indices_tensor has number of rows 3, but inputs has 4"),
    "index-dims": ("idx", lambda t: t[:, None], ValueError, "lora_indices_tensor must have 1 dimensions"),
    "scaling-huge": ("scale", lambda s: 10**400, ValueError, "scaling is beyond the largest float32, 3.4e"),
    "sparse": ("x", lambda t: t.to_sparse(), ValueError, "inputs is torch.sparse_coo; it must be torch.strided"),
    "scaling": ("scale", str, TypeError, "scaling must be a number \\(int or float\\), not str"),
}


@pytest.mark.parametrize("name, change, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(name, change, error, complaint):
    args = other(name, change)
    before = args["y"].clone() if args["y"].device.type == "cpu" else None
    with pytest.raises(error, match=complaint):
        run(args)
    if before is not None:
        assert torch.equal(args["y"], before) or args["y"].isnan().all()


def test_an_output_within_its_inputs():
    memory = torch.ones(30)
    for y in (memory[:24], memory[6:]):
        with pytest.raises(ValueError, match="output_tensor shares memory with inputs"):
            bgmv_shrink(memory[:24].view(4, 6), torch.ones(3, 6, 6), y.view(4, 6), torch.tensor([0, 1, 2, 0]))
    assert memory.eq(1).all()


@pytest.mark.parametrize("rank", [0, 257])
def test_a_rank_out_of_range(rank):
    with pytest.raises(ValueError, match=f"rank {rank}; it must be from 1 to 256"):
        bgmv_shrink(torch.ones(2, 8), torch.ones(4, rank, 8), torch.ones(2, rank), torch.tensor([0, 1]))
