"""The compiled draw, executed with a look for hazards, against the bound and the CPU path."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.contrastive.sample import contrastive_sample as spec

from .rows import batch
from .sampling import assert_right, flat, in_torch, operands, tied
from .test_compiled import launch


def drawn(args, **how):
    choice = torch.full([len(args["expert"])], -1)
    launch(spec, {**args, "choice": choice}, **how)
    assert_right(args, choice)
    return choice


@pytest.mark.parametrize("text", ["B=1 V=128256", "B=1 V=151936 dtype=bf16", "B=9 V=600 strided dtype=fp32"])
def test_cases(text):
    args = operands(text)
    assert torch.equal(drawn(args), in_torch(args))


def test_special_rows():
    expert, amateur, alpha, beta = batch(torch.float32)
    args = operands(f"B={len(expert)} V=10")
    args |= dict(expert=expert, amateur=amateur, log_alpha=alpha.double().log().float(), beta=beta)
    assert torch.equal(drawn(args), in_torch(args))


@pytest.mark.parametrize(
    "args",
    [flat(2500, 1), flat(2500, 1, top_k=999), flat(1100, 1, top_p=1.0), tied(2500, 2, 1100), tied(1100, 2, 3)],
    ids=["p", "kp", "all", "tied", "tied-few"],
)
def test_scores_that_the_lanes_lack(args):
    assert torch.equal(drawn(args, TILE_V=256, TAKE=8), in_torch(args))


def test_few_and_many_cores():
    args = operands("B=12 V=100")
    assert torch.equal(drawn(args, cores=5), drawn(args, cores=40))


def test_draws_that_are_none_still_choose_a_token_that_stays():
    """On a device nobody looks whether they are below 1."""
    args = operands("B=2 V=200", temperature=1.0, top_k=3, top_p=1.0)
    args["uniform"] = torch.tensor([1.5, torch.nan])
    choice = torch.full([2], -1)
    launch(spec, {**args, "choice": choice})
    last = in_torch(args | dict(uniform=torch.full([2], 1 - 2.0**-24)))
    assert choice[0] == last[0] and 0 <= choice[1] < 200
