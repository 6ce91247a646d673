import math
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import contrastive_argmax, contrastive_score
from cold_kernels.cases import Case, errors
from cold_kernels.contrastive import cpu
from cold_kernels.contrastive.score import contrastive_argmax as argmax_spec
from cold_kernels.contrastive.score import contrastive_score as score_spec

from .rows import FIRST, INF, NAN, OTHER, ROWS, USUAL, batch, same_bits

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@pytest.fixture(autouse=True)
def not_interpreted(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def assert_right(expert, amateur, alpha, beta):
    args = dict(expert=expert, amateur=amateur, log_alpha=alpha.double().log().float(), beta=beta.float())
    score, choice = (operator(expert, amateur, alpha, beta) for operator in (contrastive_score, contrastive_argmax))
    assert score.dtype == torch.float32 and choice.dtype == torch.int64
    assert errors(score_spec, {**args, "score": score})["score"] <= 1
    assert errors(argmax_spec, {**args, "choice": choice})["choice"] <= 1
    whole = ~expert.isnan().any(1)
    assert torch.equal(choice[whole], score[whole].argmax(1))
    return score, choice


@pytest.mark.parametrize("dtype", ("fp16", "bf16", "fp32"))
@pytest.mark.parametrize("case", score_spec.hard)
def test_hard_cases(case, dtype):
    args = Case.parse(f"{case} dtype={dtype}", score_spec).tensors(score_spec)
    assert_right(args["expert"], args["amateur"], args["log_alpha"].exp().clamp(max=1.0), args["beta"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_rows(dtype):
    expert, amateur, alpha, beta = batch(dtype)
    score, choice = assert_right(expert, amateur, alpha, beta)
    if dtype == torch.float32:
        assert {name: choice[list(ROWS).index(name)] for name in FIRST} == FIRST
    for row in range(len(ROWS)):  # alone, with numbers
        alone = expert[row, None], amateur[row, None], float(alpha[row]), float(beta[row])
        assert same_bits(contrastive_score(*alone)[0], score[row])
        assert contrastive_argmax(*alone) == choice[row]


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_contrast_the_expert_is_left_bit_for_bit(dtype):
    expert, amateur, _, _ = batch(dtype)
    score = contrastive_score(expert, amateur, 1e-30, torch.zeros(len(expert)))
    kept = (score != -INF) & ~score.isnan()
    assert same_bits(score[kept], expert.float()[kept])
    equal = contrastive_score(expert, expert, 1e-30, 3.0)
    assert same_bits(equal, score)
    expected = expert.argmax(1)
    assert torch.equal(contrastive_argmax(expert, amateur, 0.1, 0.0), expected)
    assert torch.equal(contrastive_argmax(expert, expert, 0.1, 0.7), expected)


def logits():
    special = st.sampled_from([0.0, -0.0, 1.0, 2.0, 2.0, INF, -INF, NAN, 3e38, -3e38, 65504.0])
    return st.one_of(st.floats(-65504, 65504, width=16), special)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), rows=st.integers(1, 3), size=st.integers(1, 6))
def test_any_batch(data, dtype, rows, size):
    def matrix():
        flat = data.draw(st.lists(logits(), min_size=rows * size, max_size=rows * size))
        return torch.tensor(flat, dtype=torch.float32).to(dtype).view(rows, size)

    def by_row(numbers):
        return torch.tensor(data.draw(st.lists(numbers, min_size=rows, max_size=rows)))

    expert, amateur = matrix(), matrix()
    alpha = by_row(st.floats(2**-20, 1.0, width=32))
    beta = by_row(st.one_of(st.just(0.0), st.floats(0, 2**10, width=32)))
    assert_right(expert, amateur, alpha, beta)


@pytest.mark.parametrize("wide", [False, True])
def test_masks_have_a_band_at_the_cutoff_alone(wide):
    """Against a formula in float64 that knows nothing of the project's rounding."""
    expert = 3 * torch.randn(20, 5000, generator=torch.Generator().manual_seed(0))
    if not wide:
        expert = expert.half()
    score = contrastive_score(expert, torch.zeros_like(expert), 0.1, 1.0)
    above = expert.double() - expert.double().amax(1, keepdim=True) - math.log(0.1)
    assert ((score == -INF) == (above < 0))[above.abs() > 2**-21].all()


def test_strides_and_chunks(monkeypatch):
    args = Case.parse("B=13 V=1100", score_spec).tensors(score_spec)
    plain = args["expert"], args["amateur"], 0.1, args["beta"]
    expected = contrastive_score(*plain), contrastive_argmax(*plain)
    monkeypatch.setattr(cpu, "CHUNK", 2500)
    columns = args["expert"].T.contiguous().T, args["amateur"].T.contiguous().T, 0.1, args["beta"]
    assert same_bits(contrastive_score(*columns), expected[0])
    assert torch.equal(contrastive_argmax(*columns), expected[1])
    spread = torch.stack([args["beta"], args["beta"] + 1], 1)[:, 0]
    assert same_bits(contrastive_score(args["expert"], args["amateur"], 0.1, spread), expected[0])


def test_no_rows():
    nothing = torch.empty(0, 50)
    assert contrastive_score(nothing, nothing, 0.1, torch.empty(0)).shape == (0, 50)
    assert contrastive_argmax(nothing, nothing, torch.empty(0), 0.1).shape == (0,)


def test_inputs_that_require_a_gradient():
    logits = torch.randn(2, 5, requires_grad=True)
    assert not contrastive_score(logits, logits, 0.1, torch.ones(2, requires_grad=True)).requires_grad


def test_numbers_and_tensors_of_any_type_are_alike():
    expert, amateur = torch.tensor([USUAL, OTHER]), torch.tensor([OTHER, USUAL])
    one = contrastive_score(expert, amateur, 0.5, 2)
    for dtype in (*DTYPES, torch.float64):
        by_row = torch.full([2], 0.5, dtype=dtype), torch.full([2], 2.0, dtype=dtype)
        assert same_bits(contrastive_score(expert, amateur, *by_row), one)
    assert same_bits(contrastive_score(expert, amateur, 1, 2.0), contrastive_score(expert, amateur, torch.ones(2), 2.0))


E, A = torch.tensor([USUAL, OTHER]), torch.tensor([OTHER, USUAL])
BAD = {
    "expert-list": ((USUAL, A, 0.1, 1.0), TypeError, "expert_logits must be a tensor, not list"),
    "expert-dims": ((E[0], A, 0.1, 1.0), ValueError, r"expert_logits must have 2 dimensions, not shape \[10\]"),
    "expert-dtype": ((E.double(), A, 0.1, 1.0), TypeError, "expert_logits must be .*float16.* not torch.float64"),
    "amateur-dtype": ((E, A.half(), 0.1, 1.0), TypeError, "amateur_logits has dtype torch.float16, but expert_logits"),
    "amateur-shape": ((E, A[:, :9], 0.1, 1.0), ValueError, r"amateur_logits has shape \[2, 9\], but expert_logits"),
    "amateur-device": ((E, A.to("meta"), 0.1, 1.0), ValueError, "amateur_logits has device meta, but expert_logits"),
    "no-vocabulary": (
        (E[:, :0], A[:, :0], 0.1, 1.0),
        ValueError,
        r"vocabulary of 0; it must be from 1 to (16777215|2097152)$",
    ),
    "alpha-0": ((E, A, 0, 1.0), ValueError, "alpha must be above 0 and at most 1, not 0"),
    "alpha-above": ((E, A, 1.5, 1.0), ValueError, "alpha must be above 0 and at most 1, not 1.5"),
    "alpha-nan": ((E, A, NAN, 1.0), ValueError, "alpha must be above 0 and at most 1, not nan"),
    "alpha-text": (
        (E, A, "0.1", 1.0),
        TypeError,
        r"alpha must be a number \(int or float\) or a tensor \[B\], not str",
    ),
    "alphas-0": ((E, A, torch.tensor([0.5, 0.0]), 1.0), ValueError, "alpha holds 0.0; it must be above 0"),
    "alphas-above": ((E, A, torch.tensor([0.5, 2.0]), 1.0), ValueError, "alpha holds 2.0; it must be above 0"),
    "alphas-nan": ((E, A, torch.tensor([0.5, NAN]), 1.0), ValueError, "alpha holds nan; it must be above 0"),
    "alphas-rows": ((E, A, torch.ones(3), 1.0), ValueError, "alpha has number of rows 3, but expert_logits has 2"),
    "alphas-dims": ((E, A, torch.ones(2, 1), 1.0), ValueError, r"alpha must have 1 dimensions, not shape \[2, 1\]"),
    "alphas-device": ((E, A, torch.ones(2, device="meta"), 1.0), ValueError, "alpha has device meta, but expert_log"),
    "beta-below": ((E, A, 0.1, -0.5), ValueError, "beta must be 0 or more, and finite in float32, not -0.5"),
    "beta-infinite": ((E, A, 0.1, INF), ValueError, "beta must be 0 or more, and finite in float32, not inf"),
    "beta-huge": ((E, A, 0.1, 1e39), ValueError, r"beta must be 0 or more, and finite in float32, not 1e\+39"),
    "beta-none": (
        (E, A, 0.1, None),
        TypeError,
        r"beta must be a number \(int or float\) or a tensor \[B\], not NoneType",
    ),
    "betas-below": ((E, A, 0.1, torch.tensor([1.0, -1.0])), ValueError, "beta holds -1.0; it must be 0 or more"),
    "betas-nan": ((E, A, 0.1, torch.tensor([1.0, NAN])), ValueError, "beta holds nan; it must be 0 or more"),
    "betas-integers": ((E, A, 0.1, torch.ones(2).int()), TypeError, "beta must be .*float32.*, not torch.int32"),
}


@pytest.mark.parametrize("args, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(args, error, complaint):
    for operator in (contrastive_score, contrastive_argmax):
        with pytest.raises(error, match=complaint):
            operator(*args)


def test_numbers_are_kept_on_the_device():
    from cold_kernels.ops import contrastive

    made = contrastive._full.cache_info().misses
    for _ in range(3):
        contrastive_score(E, A, 0.123, 0.456)
    assert contrastive._full.cache_info().misses == made + 2


def test_cpu_needs_torch_alone():
    script = (
        "import sys, torch\n"
        "from cold_kernels import contrastive_argmax, contrastive_score\n"
        "print(contrastive_argmax(torch.eye(3), torch.zeros(3, 3), 0.1, 1.0).tolist(), 'triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[0, 1, 2] False"
