"""The compiled contrastive kernels against the reference, and bit for bit against the CPU path."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.cases import Case, errors
from cold_kernels.contrastive import cpu
from cold_kernels.contrastive.score import contrastive_argmax, contrastive_score
from cold_kernels.record import Record
from tests.ascend.test_compiled import Compiled

from .rows import FIRST, INF, NAN, ROWS, batch, same_bits

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
CORES = 40


def launch(spec, args, cores=CORES, **config):
    """Compile and simulate every stage; ``config`` may name tunables of the other kernel."""
    mine = {name: value for name, value in config.items() if name in spec.space}
    return Compiled().launch(spec, args, Record(spec.default_for(spec.shape_of(args)), **mine), cores)


def operands(text):
    args = Case.parse(text, contrastive_score).tensors(contrastive_score)
    return {name: args[name] for name in ("expert", "amateur", "log_alpha", "beta")}


def assert_score(args, **config):
    score = torch.full(args["expert"].shape, NAN)
    expected = torch.empty_like(score)
    launch(contrastive_score, {**args, "score": score}, **config)
    cpu.score(score=expected, **args)
    assert errors(contrastive_score, {**args, "score": score})["score"] <= 1
    assert same_bits(score, expected)


def assert_argmax(args, **config):
    choice = torch.full([len(args["expert"])], -1)
    expected = torch.empty_like(choice)
    launch(contrastive_argmax, {**args, "choice": choice}, **config)
    cpu.argmax(choice=expected, **args)
    assert errors(contrastive_argmax, {**args, "choice": choice})["choice"] <= 1
    assert torch.equal(choice, expected)
    return choice


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_rows(dtype):
    expert, amateur, alpha, beta = batch(DTYPES[dtype])
    args = dict(expert=expert, amateur=amateur, log_alpha=alpha.double().log().float(), beta=beta)
    assert_score(args)
    choice = assert_argmax(args)
    if dtype == "fp32":
        assert {name: choice[list(ROWS).index(name)] for name in FIRST} == FIRST


CONFIGS = [
    *(("fp16", dict(TILE_V=256, DEPTH=depth, SPLIT_V=2)) for depth in (1, 2, 3, 4)),
    *((dtype, dict(TILE_V=256, SPLIT_V=4, BLOCKS=128, TAKE=8)) for dtype in ("bf16", "fp32")),
    ("bf16", dict(TILE_V=512, AUTO=False, DEPTH=1, SPLIT_V=1)),
    ("fp32", dict(TILE_V=1024, AUTO=False, DEPTH=3, SPLIT_V=1)),
    ("fp16", dict(TILE_V=2048, SPLIT_V=1, TAKE=8)),
]


def readable(item):
    return item if isinstance(item, str) else getattr(item, "__name__", None) or str(Record(item))


@pytest.mark.parametrize("check", [assert_score, assert_argmax], ids=readable)
@pytest.mark.parametrize("dtype, config", CONFIGS, ids=readable)
def test_configurations(dtype, config, check):
    check(operands(f"B=13 V=1100 strided dtype={dtype}"), **config)


@pytest.mark.parametrize("cores", [1, 3, 7, 40])
def test_any_number_of_cores(cores):
    args = operands("B=13 V=1100")
    assert_score(args, cores=cores, TILE_V=256, SPLIT_V=8)
    assert_argmax(args, cores=cores, TILE_V=256)


def test_numbers_for_all_rows():
    args = operands("B=13 V=1100")
    args["log_alpha"], args["beta"] = torch.full([1], -2.0).expand(13), torch.full([1], 0.5).expand(13)
    assert_score(args, TILE_V=256, SPLIT_V=2)
    assert_argmax(args, TILE_V=256)


special = st.sampled_from([0.0, -0.0, 1.0, 2.0, INF, -INF, NAN, 3e38, -3e38])
logits = st.one_of(st.floats(-65504, 65504, width=16), special)


@settings(deadline=None, max_examples=10)
@given(data=st.data(), dtype=st.sampled_from(tuple(DTYPES)), split=st.sampled_from([1, 4]))
def test_any_batch(data, dtype, split):
    """A few drawn logits in rows of one value: the choice is mostly among equals."""
    rows = data.draw(st.integers(1, 4))
    made = torch.full([2, rows, 1100], data.draw(st.sampled_from([0.0, 1.0, -INF])))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, made.numel() - 1), logits), max_size=12)):
        made.view(-1)[place] = value
    expert, amateur = made.to(DTYPES[dtype])
    by_row = [data.draw(st.sampled_from([0.0, -2.0, -60.0])), data.draw(st.sampled_from([0.0, 0.5, 100.0]))]
    log_alpha, beta = (torch.full([rows], value) for value in by_row)
    args = dict(expert=expert, amateur=amateur, log_alpha=log_alpha, beta=beta)
    assert_score(args, TILE_V=256, SPLIT_V=split)
    assert_argmax(args, TILE_V=256, SPLIT_V=split, TAKE=8 if split == 1 else 16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_few_blocks_are_read_twice(dtype):
    """Few candidates, in blocks that change from row to row: of the amateur's logits only those are read."""
    args = operands(f"B=8 V=4000 dtype={dtype}")
    args["expert"].clamp_(max=3.0)
    for row in range(8):
        args["expert"][row, 500 * row : 500 * row + 3] = torch.tensor([9.0, 9.5, 8.0])
    choice = torch.zeros(8, dtype=torch.int64)
    _, scored = launch(contrastive_argmax, {**args, "choice": choice}, TILE_V=256, BLOCKS=128, TAKE=8)
    assert scored.bytes_read < 0.6 * (args["expert"].nbytes + args["amateur"].nbytes)
    assert_argmax(args, TILE_V=256, TAKE=8)


@pytest.mark.parametrize("candidates", [7, 8, 9, 16, 17, 31])
def test_more_candidates_than_are_taken_at_once(candidates):
    """One in every block, all with the same score but for the last, which wins, or for none, so that the first does."""
    args = operands("B=1 V=4000 dtype=fp32")
    args["expert"].fill_(-50.0)
    args["amateur"].fill_(0.0)
    places = [128 * block + block for block in range(candidates)]
    args["expert"][0, places] = 5.0
    assert assert_argmax(args, TILE_V=256, TAKE=8).tolist() == [0]
    args["amateur"][0, places[-1]] = -1.0
    assert assert_argmax(args, TILE_V=256, TAKE=8).tolist() == [places[-1]]


def test_neighbouring_memory_is_left_alone():
    args = Case.parse("B=13 V=1100 strided", contrastive_score).tensors(contrastive_score)
    launch(contrastive_score, args, TILE_V=256)
    gaps = torch.as_strided(args["score"], (12, 3), (1103, 1), 1100)
    assert gaps.isnan().all()


def test_cores_share_a_row():
    args = operands("B=2 V=32000")
    score = torch.empty(2, 32000)
    alone, shared = (launch(contrastive_score, {**args, "score": score}, SPLIT_V=split)[0] for split in (1, 8))
    assert shared.cycles < alone.cycles and shared.bytes_written == alone.bytes_written == 2 * 32000 * 4
