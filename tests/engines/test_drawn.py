"""Sampled requests: for a seed the i-th token is drawn with the i-th number, however the rows were scheduled."""

import pytest
import torch

from cold_kernels import contrastive_sample

from .engine import NEW, Asked, engine, generate, mixed

pytestmark = pytest.mark.engine
SAMPLED = ("temperature", "top_k", "top_p")
DRAWN = [
    dict(temperature=1.0, seed=1),
    dict(temperature=0.7, top_k=5, seed=2),
    dict(temperature=1.3, top_p=0.8, seed=3),
    dict(temperature=0.9, top_k=20, top_p=0.9, seed=4),
    dict(),
]


def drawn(served, asked: Asked) -> list[int]:
    """Tokens of PEFT's two passes for each, as this project's own loop draws them."""
    reference, ids = served.references[asked.adapter], list(asked.prompt)
    sampling = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0} | asked.sampling
    generator = torch.Generator().manual_seed(sampling.pop("seed"))
    for _ in range(NEW):
        rows = [logits[None] for logits in reference.logits(ids)]
        uniform = torch.rand(1, generator=generator)
        options = (asked.contrast["alpha"], asked.contrast["beta"], *(sampling[name] for name in SAMPLED))
        ids.append(int(contrastive_sample(*rows, *options, uniform)))
    return ids[len(asked.prompt) :]


@pytest.mark.parametrize(
    "options",
    [dict(), dict(max_num_batched_tokens=32, max_num_seqs=6), dict(block_size=32, num_gpu_blocks_override=18)],
    ids=["plain", "chunks", "preemption"],
)
def test_a_seed_draws_the_same_tokens(served, options):
    asked = [
        Asked(each.prompt, each.adapter, each.contrast or dict(beta=0.5, alpha=0.1), DRAWN[place % len(DRAWN)])
        for place, each in enumerate(mixed(served, 15, longest=60))
    ]
    with engine(served, **options) as llm:
        found = [list(output.outputs[0].token_ids) for output in generate(llm, served, asked)]
    assert found == [drawn(served, each) for each in asked]


def test_several_answers_have_seeds_of_their_own(served):
    sampling = dict(temperature=1.0, seed=7)
    one = Asked(list(range(20)), "math", dict(beta=0.5, alpha=0.1), sampling | dict(n=3))
    with engine(served) as llm:
        (output,) = generate(llm, served, [one])
    each = [Asked(one.prompt, "math", one.contrast, sampling | dict(seed=7 + place)) for place in range(3)]
    assert [list(answer.token_ids) for answer in output.outputs] == [drawn(served, one) for one in each]


def test_without_a_seed_draws_differ(served):
    asked = [Asked([9, 8, 7], "math", dict(beta=0.5, alpha=0.01), dict(temperature=1.5))] * 4
    with engine(served) as llm:
        found = {tuple(output.outputs[0].token_ids) for output in generate(llm, served, asked)}
    assert len(found) > 1


def test_logprobs_are_the_experts(served):
    one = Asked([3, 1, 4, 1, 5], "style", dict(beta=1.0, alpha=0.1), dict(logprobs=2))
    with engine(served) as llm:
        (output,) = generate(llm, served, [one])
    ids = list(one.prompt)
    for token, found in zip(output.outputs[0].token_ids, output.outputs[0].logprobs, strict=True):
        expert, _ = served.references["style"].logits(ids)
        assert found[token].logprob == pytest.approx(float(expert.log_softmax(-1)[token]), abs=1e-3)
        ids.append(token)
