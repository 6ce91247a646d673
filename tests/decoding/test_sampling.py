"""Draws: what may be drawn, how often, and from which seed."""

import math

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .tiny import Reference, prompts, save_adapter, tiny_model

SHORT, LONG = prompts(4, 11, seed=1)


def allowed(scores, temperature=1.0, top_k=None, top_p=None):
    """Probabilities by token, worked out one after the other in Python's floats."""
    scores = [score / temperature for score in scores.tolist()]
    order = sorted(range(len(scores)), key=lambda token: -scores[token])[:top_k]
    weights = {token: math.exp(scores[token] - scores[order[0]]) for token in order if scores[token] > -math.inf}
    total, kept, share = sum(weights.values()), {}, 0.0
    for token, weight in weights.items():
        if share < (top_p or 1.0) - 1e-6:
            kept[token] = weight
        share += weight / total
    return {token: weight / sum(kept.values()) for token, weight in kept.items()}


OPTIONS = {
    "plain": {},
    "hot": dict(temperature=3.0),
    "cold": dict(temperature=0.3),
    "top-k": dict(temperature=4.0, top_k=3),
    "top-p": dict(temperature=2.0, top_p=0.6),
    "both": dict(temperature=2.0, top_k=6, top_p=0.8),
}


@pytest.mark.parametrize("strength", [dict(), dict(beta=0), dict(alpha=None), dict(alpha=0.5, beta=2.0)], ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_drawn_tokens_are_among_those_allowed(cold, references, options, strength):
    options = {"temperature": 1.0, **options}
    request = dict(adapter="patterned", max_new_tokens=6, **options, **strength)
    for seed, result in enumerate(cold.generate([Request(SHORT, seed=seed, **request) for seed in range(2)])):
        for i, token in enumerate(result.tokens):
            scores = references["patterned"].scores(SHORT + result.tokens[:i], **strength)
            assert token in allowed(scores, **options), (seed, i)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A vocabulary small enough to count."""
    model = tiny_model(vocab_size=12, seed=5)
    folder = save_adapter(tmp_path_factory.mktemp("few"), model)
    return ContrastiveLoRA(model, {"expert": folder}), Reference(model, folder)


STRENGTHS = [dict(beta=0), dict(alpha=None), dict(alpha=0.02, beta=1.5)]


@pytest.mark.parametrize("options", [*OPTIONS.values(), *STRENGTHS], ids=str)
def test_tokens_are_drawn_as_often_as_they_should(few, options):
    cold, reference = few
    prompt, draws = [1, 7, 4, 2], 3000
    strength = {name: options[name] for name in ("alpha", "beta") if name in options}
    request = dict(adapter="expert", max_new_tokens=1, **{"temperature": 1.0, **options})
    results = cold.generate([Request(prompt, seed=seed, **request) for seed in range(draws)])
    tokens = [result.tokens[0] for result in results]
    kept = {name: options[name] for name in options if name not in strength}
    expected = allowed(reference.scores(prompt, **strength), **kept)
    assert set(tokens) <= set(expected)
    square = sum((tokens.count(token) - draws * p) ** 2 / (draws * p) for token, p in expected.items())
    degrees = len(expected) - 1
    assert square <= degrees + 4 * math.sqrt(2 * degrees)
    assert degrees or options.get("temperature") == 0.3


def test_a_seed_draws_the_same_whatever_else_is_drawn(cold):
    request = dict(adapter="head", temperature=2.0, max_new_tokens=8)
    alone = cold.generate([Request(SHORT, seed=11, **request)])[0]
    others = [Request(LONG, seed=seed, **{**request, "max_new_tokens": 3}) for seed in range(3)]
    mixed = cold.generate([*others, Request(SHORT, seed=11, **request), Request(LONG, max_new_tokens=2)])
    torch.manual_seed(0)
    assert mixed[3] == alone == cold.generate([Request(SHORT, seed=11, **request)])[0]
    assert mixed[0].tokens != mixed[1].tokens


def test_without_a_seed_draws_differ(cold):
    torch.manual_seed(0)
    results = cold.generate([Request(SHORT, temperature=3.0, max_new_tokens=12)] * 2)
    assert results[0].tokens != results[1].tokens


def test_alpha_without_amateur_is_min_p(cold, references):
    def shares(alpha):
        request = Request(SHORT, "patterned", alpha, 0, 20, temperature=3.0, seed=1)
        tokens = cold.generate([request])[0].tokens
        for i, token in enumerate(tokens):
            likely = references["patterned"].logits(SHORT + tokens[:i])[0].softmax(0)
            yield float(likely[token] / likely.max())

    assert min(shares(0.2)) >= 0.2 > min(shares(None))


@pytest.mark.parametrize("temperature", [1e-3, 1e-38, 1e-300])
def test_hardly_any_temperature_takes_the_best(cold, references, temperature):
    request = Request(LONG, "head", temperature=temperature, max_new_tokens=5)
    assert cold.generate([request])[0].tokens == references["head"].greedy(LONG, 5)


def test_all_that_pass_the_mask_are_drawn_when_it_is_hot(few):
    cold, reference = few
    request = dict(adapter="expert", alpha=0.05, temperature=1e6, max_new_tokens=1)
    drawn = {result.tokens[0] for result in cold.generate([Request([3, 9], seed=s, **request) for s in range(200)])}
    assert drawn == set(reference.scores([3, 9], alpha=0.05).isfinite().nonzero()[:, 0].tolist())
