"""Run by tests/test_interpreter.py under TRITON_INTERPRET=1."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels import contrastive_argmax, contrastive_sample, contrastive_score
from cold_kernels.cases import Case, errors
from cold_kernels.contrastive import cpu
from cold_kernels.contrastive.score import contrastive_argmax as argmax_spec
from cold_kernels.contrastive.score import contrastive_score as score_spec
from cold_kernels.devices import Device
from cold_kernels.launch import run
from cold_kernels.record import Record

from . import sampling
from .rows import FIRST, INF, NAN, ROWS, batch, same_bits

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def assert_right(args, score, choice):
    """Also the same bits as in torch."""
    assert errors(score_spec, {**args, "score": score})["score"] <= 1
    assert errors(argmax_spec, {**args, "choice": choice})["choice"] <= 1
    expected, chosen = torch.empty_like(score), torch.empty_like(choice)
    operands = {name: args[name] for name in ("expert", "amateur", "log_alpha", "beta")}
    cpu.score(score=expected, **operands)
    cpu.argmax(choice=chosen, **operands)
    assert same_bits(score, expected) and torch.equal(choice, chosen)


def launched(args, cores=3, **config):
    score = torch.full(args["expert"].shape, torch.nan)
    choice = torch.full([len(score)], -1)
    for spec, output in ((score_spec, dict(score=score)), (argmax_spec, dict(choice=choice))):
        mine = {name: value for name, value in config.items() if name in spec.space}
        chosen = Record(spec.default, **mine)
        run(spec, {**args, **output}, chosen, Device("interpreter", "interpreter", cores))
    return score, choice


def test_the_kernels_are_interpreted():
    for spec in (score_spec, argmax_spec):
        assert all(type(stage.kernel).__name__ == "InterpretedFunction" for stage in spec.stages)


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_on_special_rows(dtype):
    expert, amateur, alpha, beta = batch(DTYPES[dtype])
    score = contrastive_score(expert, amateur, alpha, beta)
    choice = contrastive_argmax(expert, amateur, alpha, beta)
    log_alpha = alpha.double().log().float()
    assert_right(dict(expert=expert, amateur=amateur, log_alpha=log_alpha, beta=beta), score, choice)
    if dtype == "fp32":
        assert {name: choice[list(ROWS).index(name)] for name in FIRST} == FIRST


def test_cores_that_share_a_row():
    args = Case.parse("B=12 V=530", score_spec).tensors(score_spec)
    assert_right(args, *launched(args, cores=40, TILE_V=256, SPLIT_V=2, TAKE=8))


def test_many_rows_on_few_cores_and_numbers_for_all():
    args = Case.parse("B=21 V=70", score_spec).tensors(score_spec)
    args["log_alpha"], args["beta"] = torch.full([1], -2.0).expand(21), torch.full([1], 0.5).expand(21)
    assert_right(args, *launched(args, cores=2, TILE_V=256, SPLIT_V=1))


def test_an_inner_stride_that_is_not_one():
    args = Case.parse("B=4 V=70", score_spec).tensors(score_spec)
    columns = args["expert"].T.contiguous().T, args["amateur"].T.contiguous().T
    score, choice = (operator(*columns, 0.1, 0.5) for operator in (contrastive_score, contrastive_argmax))
    operands = dict(zip(("expert", "amateur"), columns, strict=True))
    operands |= dict(log_alpha=torch.tensor([0.1]).log().expand(4), beta=torch.full([4], 0.5))
    assert_right(operands, score, choice)


def test_draws():
    args = sampling.operands("B=3 V=70", log_alpha=-60.0)
    alpha = args["log_alpha"].double().exp()
    numbers = [args[name] for name in ("beta", "temperature", "top_k", "top_p", "uniform")]
    sampling.assert_right(args, contrastive_sample(args["expert"], args["amateur"], alpha, *numbers))


@pytest.mark.parametrize("args", [sampling.flat(1100, 1), sampling.tied(1100, 1, 333)], ids=["flat", "tied"])
def test_draws_where_the_lanes_lack_scores(args):
    choice = torch.full([1], -1)
    config = Record(sampling.spec.default, TILE_V=256, TAKE=8)  # of nine blocks
    run(sampling.spec, {**args, "choice": choice}, config, Device("interpreter", "interpreter", 1))
    assert torch.equal(choice, sampling.in_torch(args))


half_floats = st.floats(-65504, 65504, width=16)  # without bounds, Hypothesis discards so many that it may give up
logits = st.one_of(half_floats, st.sampled_from([0.0, -0.0, 1.0, 2.0, INF, -INF, NAN, 3e38, -3e38]))


@settings(deadline=None, max_examples=10)
@given(drawn=st.lists(logits, min_size=12, max_size=12), beta=st.sampled_from([0.0, 0.5, 100.0]), half=st.booleans())
def test_any_batch(drawn, beta, half):
    expert, amateur = torch.tensor(drawn).view(2, 2, 3).to(torch.float16 if half else torch.float32)
    args = dict(expert=expert, amateur=amateur, log_alpha=torch.tensor([0.0, -60.0]), beta=torch.full([2], beta))
    assert_right(args, *launched(args, TILE_V=256, SPLIT_V=1))
