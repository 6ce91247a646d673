"""Draws on CPU tensors: against float64, against what can be seen without a computer, and against the distribution."""

import math

import pytest
import torch

pytest.importorskip("triton")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import contrastive_argmax, contrastive_sample, contrastive_score
from cold_kernels.cases import errors
from cold_kernels.contrastive.sample import contrastive_sample as spec

from .rows import INF, NAN, OTHER, USUAL, batch
from .sampling import assert_right, expected, flat, in_torch, operands, tied

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


@pytest.fixture(autouse=True)
def not_interpreted(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def sample(expert, uniform, amateur=None, alpha=1e-30, beta=0.0, temperature=1.0, top_k=None, top_p=None):
    """Of one row, for each of the draws."""
    rows = len(uniform)
    expert = torch.tensor([expert]).expand(rows, -1)
    amateur = torch.zeros_like(expert) if amateur is None else torch.tensor([amateur]).expand(rows, -1)
    draws = torch.tensor(uniform)
    return contrastive_sample(expert, amateur, alpha, beta, temperature, top_k, top_p, draws).tolist()


def logs(*weights):
    return [math.log(weight) if weight else -INF for weight in weights]


BELOW_1 = 1 - 2.0**-24


def test_the_order_of_ids_decides():
    row = logs(0.125, 0, 0.5, 0.125, 0.25)
    assert sample(row, [0.0, 0.12, 0.13, 0.62, 0.63, 0.74, 0.76, BELOW_1]) == [0, 0, 2, 2, 3, 3, 4, 4]


def test_top_k_top_p_and_ties():
    row = logs(0.125, 0, 0.5, 0.125, 0.25)
    assert sample(row, [0.0, 0.66, 0.67], top_k=2) == [2, 2, 4]
    assert sample(row, [0.0, 0.14, 0.15, BELOW_1], top_k=3) == [0, 0, 2, 4]  # of the equal ones the lower id
    assert sample(row, [0.0, BELOW_1], top_p=0.45) == [2, 2]
    assert sample(row, [0.0, BELOW_1], top_p=0.7) == [2, 4]
    assert sample(row, [0.0, 0.15], top_p=0.8) == [0, 2]
    assert sample(row, [0.0, BELOW_1], top_p=1e-30) == [2, 2]
    assert sample(row, [0.66, 0.67], top_k=2, top_p=0.7) == [2, 4]  # of what top-k leaves
    assert sample(row, [0.66, 0.67], top_k=2, top_p=0.66) == [2, 2]
    assert sample([1.0] * 8, [0.0, 0.49, 0.51, BELOW_1], top_k=2) == [0, 0, 1, 1]
    assert sample([1.0] * 8, [0.0, 0.49, 0.51, BELOW_1], top_p=0.2) == [0, 0, 1, 1]


def test_temperature_flattens_and_the_mask_comes_first():
    row = logs(0.0625, 0.25, 0.5)
    assert sample(row, [0.17, 0.18, 0.51, 0.52], temperature=2.0) == [0, 1, 1, 2]
    assert sample(row, [0.0, 0.3, 0.34], alpha=0.4) == [1, 1, 2]
    contrast = sample(row, [0.0, 0.7, 0.72], amateur=logs(0.0625, 0.25, 2.0), alpha=0.1, beta=1.0)
    assert contrast == [0, 1, 2]  # weights of 1/16, 1/4, 1/8 after the contrast with the row's own logits


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_there_is_nothing_to_draw_it_is_argmax(dtype):
    expert, amateur, alpha, beta = batch(DTYPES[dtype])
    uniform = torch.rand(len(expert), generator=torch.Generator().manual_seed(0))
    greedy = contrastive_argmax(expert, amateur, alpha, beta)
    for numbers in ((0.0, 0, 1.0), (1e-39, 0, 1.0), (1.0, 1, 1.0), (0, None, None), (0.5, 1, 0.3)):
        assert torch.equal(contrastive_sample(expert, amateur, alpha, beta, *numbers, uniform), greedy)
    drawn = contrastive_sample(expert, amateur, alpha, beta, 3.0, None, None, uniform)
    score = contrastive_score(expert, amateur, alpha, beta)
    finite = score.amax(1).isfinite()
    assert torch.equal(drawn[~finite], greedy[~finite])
    assert (score.gather(1, drawn[:, None])[finite] > -INF).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", (*spec.hard, "B=36 V=50", "B=4 V=128256", "B=1 V=151936"))
def test_cases(case, dtype):
    args = operands(f"{case} dtype={dtype}")
    assert_right(args, in_torch(args))


@pytest.mark.parametrize("args", [flat(5000, 4), flat(5000, 4, top_k=700), tied(3000, 4, 99)], ids=["p", "kp", "tied"])
def test_flat_rows_and_ties(args):
    choice = in_torch(args)
    assert_right(args, choice)
    assert torch.equal(choice, expected(args))


logits = st.one_of(
    st.floats(-12, 12, width=16), st.sampled_from([0.0, -0.0, 1.0, 2.0, 2.0, INF, -INF, NAN, 3e38, -3e38])
)


@settings(deadline=None, max_examples=80)
@given(data=st.data(), dtype=st.sampled_from(tuple(DTYPES.values())), rows=st.integers(1, 3), size=st.integers(1, 9))
def test_any_batch(data, dtype, rows, size):
    def matrix():
        flat = data.draw(st.lists(logits, min_size=rows * size, max_size=rows * size))
        return torch.tensor(flat, dtype=torch.float32).to(dtype).view(rows, size)

    def by_row(numbers):
        return torch.tensor(data.draw(st.lists(numbers, min_size=rows, max_size=rows)))

    args = dict(
        expert=matrix(),
        amateur=matrix(),
        log_alpha=by_row(st.floats(-100, 0, width=32)),
        beta=by_row(st.one_of(st.just(0.0), st.floats(0, 64, width=32))),
        temperature=by_row(st.one_of(st.just(0.0), st.just(1.0), st.floats(2**-9, 2**9, width=32))),
        top_k=by_row(st.integers(0, 10)).int(),
        top_p=by_row(st.one_of(st.just(1.0), st.floats(2**-9, 1, width=32))),
        uniform=by_row(st.one_of(st.sampled_from([0.0, BELOW_1]), st.floats(0, BELOW_1, width=32))),
    )
    assert_right(args, in_torch(args))
    assert_right(args, expected(args))


def test_the_bound_allows_nothing_else():
    """On rows whose borders are far from the draws every other token is wrong."""
    args = operands("B=12 V=40 dtype=fp32", seed=3)
    args["uniform"] = torch.full([12], 0.5)
    choice = in_torch(args)
    assert torch.equal(choice, expected(args))
    for shift in range(1, 40):
        for row in range(12):
            other = choice.clone()
            other[row] = (other[row] + shift) % 40
            equal = args["expert"][row, other[row]] == args["expert"][row, choice[row]]
            if not equal:
                assert errors(spec, {**args, "choice": other})["choice"] > 1
    even = dict(tied(8, 2, 2), uniform=torch.tensor([0.5, 0.5]))  # on the border: either is right, no third one is
    for token in range(8):
        right = errors(spec, {**even, "choice": torch.full([2], token)})["choice"] <= 1
        assert right == (token in (0, 2))


def test_draws_follow_the_distribution():
    """Chi-square of 40,000 draws from 30 tokens, of which 12 stay; 40 is passed once in 28,000 times."""
    generator = torch.Generator().manual_seed(0)
    expert, amateur = torch.randn(2, 30, generator=generator)
    draws = torch.rand(40_000, generator=generator)
    rows = expert.expand(len(draws), -1), amateur.expand(len(draws), -1)
    counts = contrastive_sample(*rows, 1e-6, 0.5, 1.5, 12, None, draws).bincount(minlength=30)
    scores = (expert + 0.5 * (expert - amateur)).double() / 1.5
    scores[scores.argsort(descending=True)[12:]] = -INF
    wanted = scores.softmax(0) * len(draws)
    stay = wanted > 0
    assert counts[~stay].sum() == 0 and stay.sum() == 12
    assert ((counts - wanted)[stay] ** 2 / wanted[stay]).sum() < 40


def test_a_row_does_not_depend_on_the_others():
    args = operands("B=24 V=300")
    whole = in_torch(args)
    for some in ([5], [7, 3, 3], list(range(23, -1, -1))):
        assert torch.equal(in_torch({name: value[some] for name, value in args.items()}), whole[some])


E, A, U = torch.tensor([USUAL, OTHER]), torch.tensor([OTHER, USUAL]), torch.tensor([0.25, 0.75])
GOOD = dict(temperature=1.0, top_k=5, top_p=0.9, uniform=U)
BAD = {
    "expert": (dict(expert_logits=USUAL), TypeError, "expert_logits must be a tensor, not list"),
    "alpha": (dict(alpha=0), ValueError, "alpha must be above 0 and at most 1, not 0"),
    "temperature": (dict(temperature=-1.0), ValueError, "temperature must be from 0 to 2.126, not -1"),
    "temperatures": (
        dict(temperature=torch.tensor([1.0, NAN])),
        ValueError,
        "temperature holds nan; it must be",
    ),
    "temperature-none": (dict(temperature=None), TypeError, "temperature must be a number .* not NoneType"),
    "top-k": (dict(top_k=-1), ValueError, r"top_k must be 0 \(none\) or more, not -1"),
    "top-k-float": (dict(top_k=5.0), TypeError, r"top_k must be an integer or a tensor \[B\], not float"),
    "top-ks": (dict(top_k=torch.tensor([1, -2])), ValueError, r"top_k holds -2.*; it must be 0 \(none\) or more"),
    "top-ks-float": (dict(top_k=torch.ones(2)), TypeError, "top_k must be torch.int32 or torch.int64, not torch.float"),
    "top-p": (dict(top_p=0.0), ValueError, r"top_p must be above 0 and at most 1 \(none\), not 0.0"),
    "top-ps": (dict(top_p=torch.tensor([0.5, 1.5])), ValueError, "top_p holds 1.5; it must be above 0"),
    "top-ps-rows": (dict(top_p=torch.ones(3)), ValueError, "top_p has number of rows 3, but expert_logits has 2"),
    "uniform-1": (dict(uniform=torch.tensor([0.0, 1.0])), ValueError, "uniform holds 1.0; it must be 0 or more and b"),
    "uniform-nan": (dict(uniform=torch.tensor([0.0, NAN])), ValueError, "uniform holds nan; it must be 0 or more"),
    "uniform-number": (dict(uniform=0.5), TypeError, "uniform must be a tensor, not float"),
    "uniform-double": (dict(uniform=U.double()), TypeError, "uniform must be torch.float32, not torch.float64"),
    "uniform-rows": (dict(uniform=U[:1]), ValueError, "uniform has number of rows 1, but expert_logits has 2"),
    "uniform-device": (dict(uniform=U.to("meta")), ValueError, "uniform has device meta, but expert_logits has cpu"),
}


@pytest.mark.parametrize("changed, error, complaint", BAD.values(), ids=BAD)
def test_a_bad_argument(changed, error, complaint):
    arguments = dict(expert_logits=E, amateur_logits=A, alpha=0.1, beta=0.5, **GOOD) | changed
    with pytest.raises(error, match=complaint):
        contrastive_sample(**arguments)
    by_position = [arguments[name] for name in ("expert_logits", "amateur_logits", "alpha", "beta", *GOOD)]
    with pytest.raises(error, match=complaint):
        contrastive_sample(*by_position)


def test_numbers_and_tensors_are_alike():
    expert, amateur = operands("B=12 V=200")["expert"], operands("B=12 V=200")["amateur"]
    uniform = torch.linspace(0, BELOW_1, 12)
    numbers = 0.1, 0.5, 0.7, 20, 0.9
    one = contrastive_sample(expert, amateur, *numbers, uniform)
    for which in range(5):
        mixed = list(numbers)
        mixed[which] = torch.full([12], numbers[which])
        if which != 0:  # alpha's logarithm is taken in float64
            assert torch.equal(contrastive_sample(expert, amateur, *mixed, uniform), one)
    wide = torch.full([12], 1 << 40)
    assert torch.equal(
        contrastive_sample(expert, amateur, 0.1, 0.5, 0.7, wide, None, uniform),
        contrastive_sample(expert, amateur, 0.1, 0.5, 0.7, None, 1.0, uniform),
    )


def test_strides_no_rows_and_gradients():
    args = operands("B=3 V=70")
    numbers = 0.1, 0.5, 0.7, 20, 0.9
    plain = contrastive_sample(args["expert"], args["amateur"], *numbers, args["uniform"])
    columns = args["expert"].T.contiguous().T, args["amateur"].T.contiguous().T
    spread = torch.stack([args["uniform"], args["uniform"] + 5], 1)[:, 0]
    assert torch.equal(contrastive_sample(*columns, *numbers, spread), plain)
    nothing = torch.empty(0, 50)
    assert contrastive_sample(nothing, nothing, *numbers, torch.empty(0)).shape == (0,)
    assert not contrastive_sample(E.clone().requires_grad_(), A, *numbers, U).requires_grad


@pytest.mark.parametrize("mixed", [False, True])
def test_one_graph(mixed):
    temperature = torch.tensor([0.5, 2.0]) if mixed else 0.5

    @torch.compile(fullgraph=True, backend="aot_eager")
    def compiled(expert, amateur, uniform):
        return contrastive_sample(expert, amateur, 0.1, 0.5, temperature, 5, 0.9, uniform) + 1

    assert torch.equal(compiled(E, A, U), contrastive_sample(E, A, 0.1, 0.5, temperature, 5, 0.9, U) + 1)


def test_opcheck_of_numbers_by_row():
    numbers = torch.tensor([0.1, 1.0]), torch.ones(2), torch.ones(2), torch.tensor([1, 5]), torch.ones(2)
    torch.library.opcheck(torch.ops.cold_kernels.contrastive_sample.Tensor, (E, A, *numbers, U))
