"""The CPU path beside the plain formulations in torch; what it should be is not slower than the best of them."""

import functools

import pytest
import torch

import cold_kernels
from bench import plain_torch
from bench.side_by_side import record, side_by_side
from cold_kernels import bgmv_expand, bgmv_shrink

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("hidden, rank", SHAPES)
@pytest.mark.parametrize("operator", ["shrink", "expand"])
def test_bgmv(benchmark, operator, hidden, rank, rows, kind, dtype):
    generator, idx = torch.Generator().manual_seed(0), indices(rows, kind)
    wide, narrow = torch.randn(rows, hidden, generator=generator), torch.randn(rows, rank, generator=generator)
    weights = torch.randn(SLOTS, rank, hidden, generator=generator)
    if operator == "shrink":
        args = wide.to(dtype), weights.to(dtype), torch.zeros(rows, rank), idx, 0.5
        ours, theirs = functools.partial(bgmv_shrink, *args), plain_torch.shrink
    else:
        args = narrow, weights.mT.contiguous().to(dtype), torch.zeros(rows, hidden, dtype=dtype), idx
        ours, theirs = functools.partial(bgmv_expand, *args), plain_torch.expand
    others = {name: functools.partial(theirs, f, *args) for name, f in plain_torch.FORMULATIONS.items()}
    record(benchmark, side_by_side(ours, others, rounds=10), ours)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("vocabulary", [32000, 128256])
@pytest.mark.parametrize("rows", [1, 8, 32])
@pytest.mark.parametrize("operator", ["contrastive_score", "contrastive_argmax"])
def test_contrastive(benchmark, operator, rows, vocabulary, dtype):
    generator = torch.Generator().manual_seed(0)
    expert, amateur = torch.randn(2, rows, vocabulary, generator=generator).mul(4).to(dtype)
    args = expert, amateur, 0.1, 0.5
    ours, theirs = (functools.partial(getattr(module, operator), *args) for module in (cold_kernels, plain_torch))
    record(benchmark, side_by_side(ours, {"as in the paper": theirs}, rounds=10), ours)
