import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import bgmv_shrink
from cold_kernels.bgmv.shrink import bgmv_shrink as spec
from cold_kernels.cases import Case, errors

DTYPES = ("fp16", "bf16", "fp32")


@pytest.fixture(autouse=True)
def not_interpreted(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def tensors(text, seed=0):
    return Case.parse(text, spec).tensors(spec, seed)


def run(args):
    bgmv_shrink(args["x"], args["a"], args["y"], args["idx"], args["scale"])
    return args["y"]


def assert_right(args):
    run(args)
    assert errors(spec, args)["y"] <= 1
    assert not args["y"][args["idx"] < 0].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", spec.hard)
def test_hard_cases(case, dtype):
    assert_right(tensors(f"{case} dtype={dtype}"))


@pytest.mark.parametrize(
    "text",
    ["T=0", "T=6 L=0 idx=none", "T=3 H=0", "T=3 R=256 H=40", "T=9 idx=none", "T=70 L=2 H=300 R=64"],
)
def test_edges(text):
    assert_right(tensors(text))


def test_weights_of_four_dimensions():
    args = tensors("T=5 H=70 R=6")
    expected = run(args).clone()
    args["y"].fill_(torch.nan)
    bgmv_shrink(args["x"], args["a"][:, None], args["y"], args["idx"], args["scale"])
    assert torch.equal(args["y"], expected)


@pytest.mark.parametrize("name", ["x", "a", "y"])
def test_an_inner_stride_that_is_not_one(name):
    args = tensors("T=5 H=70 R=6 idx=0/-1/2")
    wide = torch.full((*args[name].shape, 2), torch.nan, dtype=args[name].dtype)
    wide[..., 0] = args[name]
    args[name] = wide[..., 0]
    assert_right(args)
    assert wide[..., 1].isnan().all()


def test_a_transposed_output_and_strided_indices():
    args = tensors("T=5 H=70 R=6 index=int32 idx=0/-1/2")
    args["y"] = torch.full((6, 5), torch.nan).T
    args["idx"] = torch.stack([args["idx"], torch.full_like(args["idx"], 99)], 1)[:, 0]
    assert_right(args)


def test_default_scaling_is_one_and_others_count():
    args = tensors("T=5 H=70 R=6")
    args["scale"] = 1.0
    assert_right(args)
    one = torch.empty_like(args["y"])
    bgmv_shrink(args["x"], args["a"], one, args["idx"])
    assert torch.equal(one, args["y"])
    bgmv_shrink(args["x"], args["a"], one, args["idx"], scaling=-2)
    assert torch.equal(one, -2 * args["y"])


def test_inputs_that_require_a_gradient():
    args = tensors("T=5 H=70 R=6 dtype=fp32")
    args["x"].requires_grad_()
    args["a"].requires_grad_()
    assert not run(args).requires_grad


def test_base_rows_hide_what_they_would_multiply():
    args = tensors("T=4 H=70 R=6 idx=0/-1")
    args["x"][1] = torch.nan
    assert not run(args)[1].any() and not args["y"].isnan().any()


@settings(deadline=None, max_examples=25)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), hidden=st.sampled_from([1, 7, 64, 513]), rank=st.integers(1, 9))
def test_a_row_does_not_depend_on_the_others(data, dtype, hidden, rank):
    rows, slots = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    idx = torch.tensor(data.draw(st.lists(st.integers(-1, slots - 1), min_size=rows, max_size=rows)))
    args = tensors(f"T={rows} L={slots} H={hidden} R={rank} dtype={dtype}") | dict(idx=idx)
    together = run(args).clone()
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=20)))
    batch = args | dict(x=args["x"][some], idx=idx[some], y=torch.full((len(some), rank), torch.nan))
    assert torch.equal(run(batch), together[some])
    for row in some.tolist():
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
    "weights-dims": ("a", lambda t: t[0], ValueError, "lora_a_weights must have 3 dimensions"),
    "weights-middle": ("a", lambda t: t[:, None].expand(3, 2, 6, 70), ValueError, r"not shape \[3, 2, 6, 70\]"),
    "hidden": ("a", lambda t: t[..., 1:], ValueError, "hidden size 69, but inputs has 70"),
    "output-dtype": ("y", lambda t: t.half(), TypeError, "output_tensor must be torch.float32, not torch.float16"),
    "output-rows": ("y", lambda t: t[1:], ValueError, "output_tensor has number of rows 3, but inputs has 4"),
    "output-rank": ("y", lambda t: t[:, 1:], ValueError, "output_tensor has rank 5, but lora_a_weights has 6"),
    "output-repeats": ("y", lambda t: t[:, :1].expand(4, 6), ValueError, "output_tensor repeats memory"),
    "output-device": ("y", lambda t: t.to("meta"), ValueError, "output_tensor has device meta, but inputs has cpu"),
    "index-dtype": ("idx", lambda t: t.short(), TypeError, "torch.int32 or torch.int64, not torch.int16"),
    "index-rows": ("idx", lambda t: t[1:], ValueError, "lora_indices_tensor has number of rows 3, but inputs has 4"),
    "index-dims": ("idx", lambda t: t[:, None], ValueError, "lora_indices_tensor must have 1 dimensions"),
    "scaling": ("scale", str, TypeError, "scaling must be a number, not str"),
}


@pytest.mark.parametrize("name, change, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(name, change, error, complaint):
    args = other(name, change)
    before = args["y"].clone() if args["y"].device.type == "cpu" else None
    with pytest.raises(error, match=complaint):
        run(args)
    if before is not None:
        assert torch.equal(args["y"], before) or args["y"].isnan().all()


@pytest.mark.parametrize("rank", [0, 257])
def test_a_rank_out_of_range(rank):
    with pytest.raises(ValueError, match=f"rank {rank}; it must be from 1 to 256"):
        run(tensors(f"T=2 H=8 R={rank}"))


def python(script):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def test_import_and_cpu_need_torch_alone():
    said = python(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('triton', 'xdsl', 'ml_dtypes', 'optuna'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import torch\n"
        "from cold_kernels import bgmv_shrink\n"
        "y = torch.full((2, 3), torch.nan)\n"
        "bgmv_shrink(torch.ones(2, 4), torch.ones(1, 3, 4), y, torch.tensor([0, -1]))\n"
        "print(y.tolist(), [m for m in ('triton', 'xdsl', 'ml_dtypes', 'optuna') if m in sys.modules])"
    )
    assert said.strip() == "[[4.0, 4.0, 4.0], [0.0, 0.0, 0.0]] []"


def test_interpreting_must_be_said_before_python_starts():
    said = python(
        "import os, torch\n"
        "from cold_kernels import bgmv_shrink\n"
        "import cold_kernels.bgmv.shrink\n"
        "os.environ['TRITON_INTERPRET'] = '1'\n"
        "try:\n"
        "    bgmv_shrink(torch.ones(2, 4), torch.ones(1, 3, 4), torch.ones(2, 3), torch.tensor([0, -1]))\n"
        "except RuntimeError as error:\n"
        "    print(error)"
    )
    assert "imported without TRITON_INTERPRET=1 and is now launched with it; set it once" in said
