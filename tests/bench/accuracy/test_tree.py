"""Decoding many ways at once gives what each gives alone, and what `ContrastiveLoRA` gives."""

import numpy as np
import pytest
import torch

pytest.importorskip("peft")

from bench.accuracy import methods
from bench.accuracy.stories import END, World
from bench.accuracy.tiny_models import expert, new_model, train_adapter
from bench.accuracy.tree import beam_search, decode
from decoding import ContrastiveLoRA, Request
from decoding.evaluation import rules

LENGTH = 11


@pytest.fixture(scope="module")
def study():
    """An untrained base, an adapter with an update large enough to matter, and prompts."""
    world = World.drawn(np.random.default_rng(0))
    base = new_model(1).eval()
    adapter = train_adapter(base, world, 2, 3)
    return base, adapter, world.stories(np.random.default_rng(3), 24, 5)[:, :8]


def alone(model, amateur, prompt, choose):
    """Tokens by whole passes without a cache."""
    text = prompt.tolist()
    while len(text) < len(prompt) + LENGTH:
        with torch.inference_mode():
            logits = [each(input_ids=torch.tensor([text])).logits[:, -1] for each in (model, amateur)]
        text.append(choose(*logits).item())
        if text[-1] == END:
            text += [END] * (len(prompt) + LENGTH - len(text))
    return text[len(prompt) :]


def test_together_is_what_each_is_alone(study):
    base, adapter, prompts = study
    merged = expert(base, *adapter)
    ways = [methods.greedy, methods.base, rules.fixed(0.01, 1.0).choose, rules.pushed(0.1, 1.0, 0.2).choose]
    together = decode(merged, base, prompts, ways, LENGTH).tolist()
    assert together[0] != together[1] and together[0] != together[2]
    for found, choose in zip(together, ways, strict=True):
        assert found == [alone(merged, base, prompt, choose) for prompt in prompts]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.0), (0.1, 0.5), (0.01, 1.0)])
def test_tokens_are_those_of_contrastive_lora(study, alpha, beta):
    from peft import LoraConfig

    base, (settings, adapter), prompts = study
    choose = rules.fixed(alpha, beta).choose
    (found,) = decode(expert(base, settings, adapter), base, prompts, [choose], LENGTH).tolist()
    cold = ContrastiveLoRA(base, {"task": (LoraConfig(**settings), adapter)})
    requests = [Request(p, "task", alpha, beta, max_new_tokens=LENGTH, eos_token_id=END) for p in prompts.tolist()]
    results = cold.generate(requests)
    cold.remove()
    assert found == [result.tokens + [END] * (LENGTH - len(result.tokens)) for result in results]


def test_one_beam_is_greedy_and_more_find_likelier_texts(study):
    base, adapter, prompts = study
    merged = expert(base, *adapter)
    greedy = decode(merged, None, prompts, [methods.greedy], LENGTH)[0]
    assert beam_search(merged, prompts, 1, LENGTH).equal(greedy)

    def likelihood(answers):
        logits = merged(input_ids=torch.cat([prompts, answers], 1)).logits[:, prompts.shape[1] - 1 : -1]
        each = logits.log_softmax(-1).gather(-1, answers[..., None])[..., 0]
        after_end = (answers == END).cumsum(1) > 1
        return each.masked_fill(after_end | (answers == END).roll(1, 1) & after_end, 0).sum(1)

    wide = beam_search(merged, prompts, 4, LENGTH)
    assert not wide.equal(greedy)
    assert likelihood(wide).mean() > likelihood(greedy).mean()


def test_a_factor_scales_the_adapters_update(study):
    base, adapter, _ = study
    name = "model.layers.0.self_attn.q_proj.weight"
    weight, once, twice = (
        each.state_dict()[name] for each in (base, expert(base, *adapter), expert(base, *adapter, 2.0))
    )
    assert not once.equal(weight)
    torch.testing.assert_close(twice - weight, 2 * (once - weight), atol=1e-6, rtol=1e-4)
