"""The CPU path beside the plain formulations in torch; what it should be is not slower than the best of them."""

import functools
import math

import pytest
import torch

import cold_kernels
from cold_kernels import bgmv_expand, bgmv_shrink, bgmv_shrink_expand
from cold_kernels.bgmv import reference as lora
from cold_kernels.bgmv import shrink_expand_reference as fused
from cold_kernels.contrastive import reference as contrastive
from cold_kernels.contrastive import sample_reference

from . import plain_torch

SLOTS = 4
SHAPES = [(576, 8), (2048, 16), (4096, 16), (4096, 64)]
ROWS = [1, 2, 8, 32, 64]
KINDS = ["one adapter", "half base", "all adapters"]


def indices(rows, kind):
    """CoLD's doubled batch is half base."""
    row = torch.arange(rows)
    if kind == "half base":
        return torch.where(row < (rows + 1) // 2, 0, -1)
    return row % SLOTS if kind == "all adapters" else torch.zeros_like(row)


def assert_within(found, expected, bound):
    off = (found.double() - expected).abs()
    wrong = ~((off <= bound) | (found.double() == expected))
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.numel()} are wrong, by up to {float(off[wrong].max()):.3g}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("hidden, rank", SHAPES)
@pytest.mark.parametrize("operator", ["shrink", "expand"])
def test_bgmv(race, operator, hidden, rank, rows, kind, dtype):
    generator, idx = torch.Generator().manual_seed(0), indices(rows, kind)
    wide, narrow = torch.randn(rows, hidden, generator=generator), torch.randn(rows, rank, generator=generator)
    weights = torch.randn(SLOTS, rank, hidden, generator=generator)
    if operator == "shrink":
        args = wide.to(dtype), weights.to(dtype), torch.zeros(rows, rank), idx, 0.5
        ours, theirs = functools.partial(bgmv_shrink, *args), plain_torch.shrink
        x, a, y, idx, scale = args
        expected, bound = (f(x=x, a=a, idx=idx, scale=scale)["y"] for f in (lora.shrink, lora.shrink_tolerance))
    else:
        args = narrow, weights.mT.contiguous().to(dtype), torch.zeros(rows, hidden, dtype=dtype), idx
        ours, theirs = functools.partial(bgmv_expand, *args), plain_torch.expand
        x, b, y, idx = args
        before = y.clone()
        expected, bound = (f(b=b, x=x, y_before=before, idx=idx)["y"] for f in (lora.expand, lora.expand_tolerance))
    ours()
    assert_within(y, expected, bound)
    others = {name: functools.partial(theirs, f, *args) for name, f in plain_torch.FORMULATIONS.items()}
    race(ours, others, rounds=10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 8, 32])
@pytest.mark.parametrize("hidden, slices, rank", [(576, 3, 8), (4096, 1, 16)])
def test_bgmv_shrink_expand(race, hidden, slices, rank, rows, kind, dtype):
    generator, idx = torch.Generator().manual_seed(0), indices(rows, kind)
    sizes = (rows, hidden), (SLOTS, slices, rank, hidden), (SLOTS, slices * hidden, rank), (rows, slices * hidden)
    x, a, b, y = (torch.randn(size, generator=generator).to(dtype) for size in sizes)
    args = x, a, b, y, idx, torch.arange(slices) * hidden, 0.5
    ours, before = functools.partial(bgmv_shrink_expand, *args), y.clone()
    named = dict(x=x, a=a, b=b, y_before=before, idx=idx, starts=args[5], scale=0.5)
    expected, bound = (f(**named)["y"] for f in (fused.shrink_expand, fused.shrink_expand_tolerance))
    ours()
    assert_within(y, expected, bound)
    theirs = plain_torch.shrink_expand
    race(ours, {name: functools.partial(theirs, f, *args) for name, f in plain_torch.FORMULATIONS.items()}, rounds=10)


@pytest.mark.parametrize("adapters", [2, 4])
@pytest.mark.parametrize(
    "hidden, slices, rank", [(256, 1, 8), (768, 3, 8), (1024, 3, 16), (2048, 3, 16), (4096, 1, 16)]
)
def test_interleaved_rows(race, hidden, slices, rank, adapters):
    """16 rows of several adapters in turn beside as many of one, on one thread; the aim is 1.5 times for two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator, row = torch.Generator().manual_seed(0), torch.arange(16)
    sizes = (16, hidden), (SLOTS, slices, rank, hidden), (SLOTS, slices * hidden, rank), (16, slices * hidden)
    x, a, b, y = (torch.randn(size, generator=generator) for size in sizes)

    def call(idx):
        return functools.partial(bgmv_shrink_expand, x, a, b, y, idx, torch.arange(slices) * hidden)

    try:
        race(call(row % adapters), {"one adapter": call(row * 0)}, rounds=40)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("vocabulary", [32000, 128256])
@pytest.mark.parametrize("rows", [1, 8])
def test_contrastive_sample(race, rows, vocabulary):
    generator = torch.Generator().manual_seed(0)
    expert, amateur = torch.randn(2, rows, vocabulary, generator=generator).mul(4)
    uniform = torch.rand(rows, generator=generator)
    given = dict(alpha=0.1, beta=0.5, temperature=0.8, top_k=50, top_p=0.9)
    args = expert, amateur, *given.values(), uniform
    ours, theirs = (functools.partial(module.contrastive_sample, *args) for module in (cold_kernels, plain_torch))
    by_row = {name: torch.full([rows], float(value)) for name, value in given.items()}
    by_row |= dict(log_alpha=by_row.pop("alpha").log(), top_k=by_row["top_k"].int(), uniform=uniform)
    choice = ours()
    expected = sample_reference.sample(expert, amateur, **by_row)
    bound = sample_reference.sample_tolerance(expert, amateur, choice, **by_row)
    assert_within(choice, *expected.values(), *bound.values())
    race(ours, {"sorted": theirs}, rounds=10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("vocabulary", [32000, 128256])
@pytest.mark.parametrize("rows", [1, 8, 32])
@pytest.mark.parametrize("operator", ["contrastive_score", "contrastive_argmax"])
def test_contrastive(race, operator, rows, vocabulary, dtype):
    generator = torch.Generator().manual_seed(0)
    expert, amateur = torch.randn(2, rows, vocabulary, generator=generator).mul(4).to(dtype)
    args = expert, amateur, 0.1, 0.5
    ours, theirs = (functools.partial(getattr(module, operator), *args) for module in (cold_kernels, plain_torch))
    by_row = dict(log_alpha=torch.full([rows], math.log(0.1)), beta=torch.full([rows], 0.5))
    name, chosen = operator.removeprefix("contrastive_"), ours()
    output = {"choice": chosen} if name == "argmax" else {}
    expected, bound = (
        getattr(contrastive, f)(expert=expert, amateur=amateur, **output, **by_row) for f in (name, f"{name}_tolerance")
    )
    assert_within(chosen, *expected.values(), *bound.values())
    race(ours, {"as in the paper": theirs}, rounds=10)
