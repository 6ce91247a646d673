import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_expand, bgmv_expand_slice
from cold_kernels.bgmv.expand import bgmv_expand as spec
from tests import every_kernel
from tests.every_kernel import bits, far, some_rows
from tests.ops.layouts import DTYPES, FLOATS, INDICES, LAYOUTS, every_other, indices, laid_out, untouched_around


def tensors(text, seed=0):
    return every_kernel.tensors(spec, text, seed)


def run(args):
    bgmv_expand(args["x"], args["b"], args["y"], args["idx"], args["add"])
    return args["y"]


def assert_right(args):
    """Right within the bound, and base rows the same bit for bit."""
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
    ["T=0", "T=6 L=0 idx=none", "T=3 H=0", "T=3 R=256 H=40", "T=9 H=70 idx=none", "T=34 L=2 H=300 R=64"],
)
@pytest.mark.parametrize("add", [0, 1])
def test_edges(text, add):
    assert_right(tensors(f"{text} add={add}"))


@pytest.mark.parametrize("output", FLOATS, ids=str)
@pytest.mark.parametrize("own", [False, True], ids=["x-float32", "x-as-weights"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_element_types(dtype, own, output):
    args = tensors(f"T=5 L=3 H=70 R=6 idx=0/-1/2 dtype={dtype}")
    args["x"] = args["x"].to(args["b"].dtype) if own else args["x"]
    args["y_before"] = args["y"].to(output)
    for add in (True, False):
        assert_right(args | dict(y=args["y_before"].clone(), add=add))


def test_adding_is_the_default():
    args = tensors("T=3 L=2 H=70 R=6")
    expected = run(args)
    again = args["y_before"].clone()
    bgmv_expand(args["x"], args["b"], again, args["idx"])
    assert torch.equal(again, expected)


def test_weights_of_four_dimensions():
    args = tensors("T=5 H=70 R=6")
    expected = run(args)
    again = args["y_before"].clone()
    bgmv_expand(args["x"], args["b"][:, None], again, args["idx"])
    assert torch.equal(again, expected)


@settings(deadline=None, max_examples=40)
@given(
    data=st.data(), rows=st.integers(0, 6), slots=st.integers(1, 4), hidden=st.integers(1, 90),
    rank=st.integers(1, 256), dtype=st.sampled_from(FLOATS), own=st.booleans(), output=st.sampled_from(FLOATS),
    index_dtype=st.sampled_from(INDICES), layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 3),
    spread=st.booleans(), add=st.booleans(),
)  # fmt: skip
def test_any_shape_layout_and_index(
    data, rows, slots, hidden, rank, dtype, own, output, index_dtype, layouts, spread, add
):
    generator = torch.Generator().manual_seed(rows + hidden * rank)
    x = torch.randn(rows, rank, generator=generator).to(dtype if own else torch.float32)
    x, _ = laid_out(x, layouts[0])
    b, _ = laid_out(torch.randn(slots, hidden, rank, generator=generator).to(dtype), layouts[1])
    y, whole = laid_out(torch.randn(rows, hidden, generator=generator).to(output), layouts[2])
    idx = data.draw(indices(slots, rows)).to(index_dtype)
    idx = every_other(idx) if spread else idx
    assert_right(dict(x=x, b=b, y=y, y_before=y.clone(), idx=idx, add=add))
    assert untouched_around(y, whole)


@pytest.mark.parametrize("name", ["x", "b", "y"])
def test_offsets_of_more_than_32_bits(name):
    args = tensors("T=3 L=3 H=70 R=6 idx=1/-1/2")
    args[name] = far(args[name])
    assert_right(args)


def test_rows_slots_and_ranks_that_share_memory():
    args = tensors("T=5 L=3 H=70 R=6 idx=0/-1/2")
    for x, b in (
        (args["x"][:1].expand(5, 6), args["b"]),
        (args["x"][:, :1].expand(5, 6), args["b"][:1].expand(3, 70, 6)),
        (args["x"][:1, :1].expand(5, 6), args["b"][..., :1].expand(3, 70, 6)),
    ):
        assert_right(args | dict(x=x, b=b, y=args["y_before"].clone()))


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("output", FLOATS, ids=str)
def test_base_rows_keep_any_bits(output, add):
    args = tensors("T=40 L=3 H=70 R=6 idx=-1/0/-1/2") | dict(add=add)
    integers = {2: torch.int16, 4: torch.int32}[output.itemsize]
    random = torch.randint(-(2**31), 2**31, (40, 70), generator=torch.Generator().manual_seed(0))
    any_bits = random.to(integers).view(output)  # among them NaN of every kind, infinities and subnormals
    base = args["idx"] < 0
    args["y"] = torch.where(base[:, None], any_bits, args["y"].to(output))
    args["y_before"] = args["y"].clone()
    args["x"][base] = torch.nan
    assert args["y"][base].isnan().any()
    assert_right(args)
    assert args["y"][~base].isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_overwriting_does_not_read_what_was_there(dtype):
    args = tensors(f"T=4 L=2 H=70 R=6 add=0 dtype={dtype}")
    args["y"].fill_(torch.nan)
    assert_right(args)
    assert args["y"].isfinite().all()


def test_special_values_stay_in_their_row():
    args = tensors("T=5 L=4 H=70 R=6 dtype=fp32 idx=0/1/-1/2/0")
    finite = run(args).clone()
    args["b"][3] = torch.nan  # a slot that nobody uses
    args["y"].copy_(args["y_before"])
    assert torch.equal(run(args), finite)
    args["x"][0, 3], args["x"][1, 5], args["b"][2, 7, 0] = torch.inf, torch.nan, -torch.inf
    args["y_before"][4, :2] = torch.tensor([torch.nan, -torch.inf])
    args["y"].copy_(args["y_before"])
    assert_right(args)
    assert args["y"][1].isnan().all() and args["y"][0].isinf().all()
    assert args["y"][3].isfinite().sum() == 69 and torch.equal(args["y"][4, 2:], finite[4, 2:])


@pytest.mark.parametrize("output, size", [(torch.float16, 65504.0), (torch.bfloat16, 3.3e38)], ids=str)
def test_results_past_the_largest_number_are_infinite(output, size):
    y = torch.tensor([[size, -size, size / 2]]).to(output)
    bgmv_expand(torch.tensor([[1.0]]), y.float().view(1, 3, 1), y, torch.tensor([0]))
    assert y.tolist() == [[torch.inf, -torch.inf, pytest.approx(size, rel=0.01)]]


def test_tensors_that_require_a_gradient():
    for dtype in DTYPES:
        args = tensors(f"T=5 H=70 R=6 dtype={dtype}")
        for name in ("x", "b", "y"):
            args[name].requires_grad_()
        run(args)
        assert args["y"].grad_fn is None
        with torch.no_grad():
            every_kernel.assert_right(spec, args)


def test_an_output_beside_its_inputs():
    both = torch.randn(4, 12)
    before = both.clone()
    args = tensors("T=4 L=3 H=6 R=6 dtype=fp32 idx=0/-1/2")
    assert_right(args | dict(x=both[:, 6:], y=both[:, :6], y_before=before[:, :6]))
    assert torch.equal(both[:, 6:], before[:, 6:])


@settings(deadline=None, max_examples=25)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), hidden=st.sampled_from([1, 7, 64, 513]), rank=st.integers(1, 40))
def test_a_row_does_not_depend_on_the_others(data, dtype, hidden, rank):
    rows, slots = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    args = tensors(f"T={rows} L={slots} H={hidden} R={rank} dtype={dtype} add={data.draw(st.integers(0, 1))}")
    args["idx"] = data.draw(indices(slots, rows))
    together = run(args).clone()
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=12)))
    assert torch.equal(run(some_rows(spec, args, some)), together[some])
    order = torch.tensor(data.draw(st.permutations(range(rows))))
    assert torch.equal(run(some_rows(spec, args, order)), together[order])
    row = data.draw(st.integers(0, rows - 1))
    assert torch.equal(run(some_rows(spec, args, torch.tensor([row])))[0], together[row])


@settings(deadline=None, max_examples=20)
@given(
    data=st.data(), sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4), rank=st.sampled_from([1, 8, 12, 64]),
    dtype=st.sampled_from(DTYPES), layout=st.sampled_from(LAYOUTS), add=st.booleans(),
)  # fmt: skip
def test_slices_of_one_output(data, sizes, rank, dtype, layout, add):
    args = tensors(f"T=4 L=3 H={sum(sizes)} R={rank} dtype={dtype}") | dict(add=add)
    args["idx"] = data.draw(indices(3, 4))
    args["y"], whole = laid_out(args["y"], layout)
    order = data.draw(st.permutations(range(len(sizes))))
    for number in order:
        offset, size = sum(sizes[:number]), sizes[number]
        before = args["y"].clone()
        weights = args["b"][:, offset : offset + size]
        bgmv_expand_slice(args["x"], weights, args["y"], args["idx"], offset, size, add)
        before[:, offset : offset + size] = args["y"][:, offset : offset + size]
        assert torch.equal(bits(args["y"]), bits(before))
    every_kernel.assert_right(spec, args)
    assert torch.equal(args["y"], run(args | dict(y=args["y_before"].clone())))
    assert untouched_around(args["y"], whole)


def test_a_slice_adds_by_default_and_may_be_narrower_than_the_rank():
    args = tensors("T=4 L=2 H=3 R=64 idx=0/-1/1")
    wide = torch.full((4, 10), torch.nan, dtype=args["y"].dtype)
    wide[:, 5:8] = args["y"]
    bgmv_expand_slice(args["x"], args["b"][:, None], wide, args["idx"], 5, 3)
    args["y"] = wide[:, 5:8]
    every_kernel.assert_right(spec, args)
    assert untouched_around(args["y"], wide)


BAD = {
    "index-past-last": ("idx", lambda t: t + 1, IndexError, r"holds 3; it must be from -1 \(base\) to 2"),
    "index-below": ("idx", lambda t: t - 2, IndexError, "holds -2; it must be from -1"),
    "index-dtype": ("idx", lambda t: t.float(), TypeError, "torch.int32 or torch.int64, not torch.float32"),
    "index-rows": ("idx", lambda t: t[1:], ValueError, "lora_indices_tensor has number of rows 3, but inputs has 4"),
    "inputs-no-tensor": ("x", lambda t: t.tolist(), TypeError, "inputs must be a tensor, not list"),
    "inputs-other-type": ("x", lambda t: t.bfloat16(), TypeError, "inputs is torch.bfloat16; .* torch.float16"),
    "inputs-double": ("x", lambda t: t.double(), TypeError, "inputs must be .*float32, not torch.float64"),
    "inputs-dims": ("x", lambda t: t[None], ValueError, r"inputs must have 2 dimensions, not shape \[1, 4, 6\]"),
    "weights-int": ("b", lambda t: t.int(), TypeError, "lora_b_weights must be .* not torch.int32"),
    "weights-dims": (
        "b",
        lambda t: t[0],
        ValueError,
        r"lora_b_weights must be \[slots, …, …\] or \[slots, 1, …, …\], not shape",
    ),
    "weights-middle": ("b", lambda t: t[:, None].expand(3, 2, 70, 6), ValueError, r"not shape \[3, 2, 70, 6\]"),
    "rank": ("b", lambda t: t[..., 1:], ValueError, "lora_b_weights has rank 5, but inputs has 6"),
    "size": ("b", lambda t: t[:, 1:], ValueError, "lora_b_weights has output size 69, but output_tensor has 70"),
    "output-dtype": ("y", lambda t: t.double(), TypeError, "output_tensor must be .* not torch.float64"),
    "output-rows": ("y", lambda t: t[1:], ValueError, "output_tensor has number of rows 3, but inputs has 4"),
    "output-repeats": ("y", lambda t: t[:, :1].expand(4, 70), ValueError, "output_tensor repeats memory"),
    "output-device": ("y", lambda t: t.to("meta"), ValueError, "output_tensor has device meta, but inputs has cpu"),
    "add": ("add", str, TypeError, "add_inputs must be True or False, not str"),
}


@pytest.mark.parametrize("name, change, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(name, change, error, complaint):
    args = tensors("T=4 L=3 H=70 R=6")
    held = args["y"]
    with pytest.raises(error, match=complaint):
        run(args | {name: change(args[name])})
    assert torch.equal(held, args["y_before"])


@pytest.mark.parametrize("rank", [0, 257])
def test_a_rank_out_of_range(rank):
    with pytest.raises(ValueError, match=f"lora_b_weights has rank {rank}; it must be from 1 to 256"):
        bgmv_expand(torch.ones(2, rank), torch.ones(4, 8, rank), torch.ones(2, 8), torch.tensor([0, 1]))


def test_an_output_within_its_inputs():
    memory = torch.ones(4, 6)
    with pytest.raises(ValueError, match="output_tensor shares memory with inputs"):
        bgmv_expand(memory, torch.ones(3, 6, 6), memory, torch.tensor([0, 1, 2, 0]))
    assert memory.eq(1).all()


@pytest.mark.parametrize("read, written", [((0, 5), (4, 8)), ((3, 8), (0, 4)), ((2, 7), (2, 6))])
def test_columns_of_one_matrix_that_overlap(read, written):
    memory = torch.ones(4, 8)
    inputs, output = memory[:, slice(*read)], memory[:, slice(*written)]
    with pytest.raises(ValueError, match="output_tensor shares memory with inputs"):
        bgmv_expand(inputs, torch.ones(3, 4, 5), output, torch.tensor([0, 1, 2, 0]))
    assert memory.eq(1).all()


def test_columns_side_by_side():
    memory = torch.ones(4, 9)
    bgmv_expand(memory[:, :5], torch.ones(3, 4, 5), memory[:, 5:], torch.tensor([0, 1, 2, 0]))
    assert memory[:, :5].eq(1).all() and memory[:, 5:].eq(6).all()


BAD_SLICES = [
    (-1, 70, "slice_offset is -1; it must be an integer from 0"),
    (0, -70, "slice_size is -70"),
    (1.0, 70, "slice_offset is 1.0"),
    (0, None, "slice_size is None"),
    (11, 70, "columns 11 to 81 are not within output_tensor's 80"),
    (0, 69, "70.* 69"),
    (0, 80, "70.* 80"),
]


@pytest.mark.parametrize("offset, size, complaint", BAD_SLICES)
def test_a_bad_slice(offset, size, complaint):
    args = tensors("T=4 L=3 H=70 R=6")
    wide = torch.full((4, 80), torch.nan)
    with pytest.raises(ValueError, match=complaint):
        bgmv_expand_slice(args["x"], args["b"], wide, args["idx"], offset, size)
    assert wide.isnan().all()
    with pytest.raises(TypeError, match="output_tensor must be a tensor, not NoneType"):
        bgmv_expand_slice(args["x"], args["b"], None, args["idx"], 0, 70)
