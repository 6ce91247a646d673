"""Logits processors and warpers: what they see, and what they leave."""

import math

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import MinPLogitsWarper, NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from decoding import Request

from .tiny import VOCABULARY, prompts

SHORT, LONG = prompts(4, 11, seed=2)
NEW = 8
DRAWN = dict(temperature=1.5, seed=1)
WAYS = {"contrast": dict(adapter="head"), "plain": dict(adapter="head", beta=0), "base": {}}
WAYS |= {f"{name}, drawn": {**way, **DRAWN} for name, way in WAYS.items()}


class Only:
    """Allows the tokens of a position, counted from the prompt's length."""

    def __init__(self, start, sets):
        self.start, self.sets = start, sets

    def __call__(self, ids, scores):
        banned = torch.full_like(scores, -math.inf)
        banned[:, list(self.sets[ids.shape[1] - self.start])] = 0
        return scores + banned


def recorder(seen):
    def record(ids, scores):
        seen.append(ids[0].tolist())
        assert ids.dtype == torch.int64 and scores.shape == (1, VOCABULARY)
        return scores

    return record


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_grammar_holds(cold, way):
    sets = prompts(*[3] * NEW, seed=7)
    request = Request(SHORT, max_new_tokens=NEW, logits_processor=[Only(len(SHORT), sets)], **way)
    other = Request(LONG, max_new_tokens=NEW + 2, **way)
    results = cold.generate([other, request])
    assert len(results[1].tokens) == NEW
    assert all(token in legal for token, legal in zip(results[1].tokens, sets))
    assert results[0] == cold.generate([other])[0]


PROCESSORS = {
    "penalty": RepetitionPenaltyLogitsProcessor(1.7),
    "no-repeat": NoRepeatNGramLogitsProcessor(1),
    "implausible": Only(len(LONG), [range(i, VOCABULARY, 40) for i in range(NEW)]),
}


@pytest.mark.parametrize("beta", [0, 1.0])
@pytest.mark.parametrize("processors", [["penalty"], ["no-repeat"], ["implausible"], ["penalty", "no-repeat"]], ids=str)
def test_processors_change_the_expert_before_mask_and_score(cold, references, processors, beta):
    options = dict(beta=beta, alpha=0.3)
    processors = [PROCESSORS[name] for name in processors]
    request = Request(LONG, "patterned", max_new_tokens=NEW, logits_processor=processors, **options)
    wanted = references["patterned"].greedy(LONG, NEW, processors=processors, **options)
    neighbour = Request(SHORT, "head", max_new_tokens=2)
    assert cold.generate([neighbour, request])[1].tokens == wanted
    assert wanted != references["patterned"].greedy(LONG, NEW, **options)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_they_see_their_own_text(cold, way):
    """Also after others, before and behind them, have left."""
    seen, seen_by_warper = [], []
    lists = dict(logits_processor=[recorder(seen)], warpers=[recorder(seen_by_warper)])
    requests = [Request(LONG, max_new_tokens=n) for n in (0, 1, 3)]
    result = cold.generate([*requests[:2], Request(SHORT, max_new_tokens=5, **lists, **way), requests[2]])[2]
    wanted = [SHORT + result.tokens[:i] for i in range(5)]
    assert seen == wanted and seen_by_warper == (wanted if "seed" in way else [])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_legal_token_ends_that_request_alone(cold, way):
    sets = [[5, 6], [7], []]
    request = Request(SHORT, max_new_tokens=NEW, logits_processor=[Only(len(SHORT), sets)], logprobs=True, **way)
    other = Request(LONG, max_new_tokens=NEW, **way)
    results = cold.generate([request, other])
    assert results[0].finish_reason == "no_token"
    assert results[0].tokens[0] in (5, 6) and results[0].tokens[1:] == [7] and len(results[0].expert_logprobs) == 2
    assert results[1] == cold.generate([other])[0]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_token_is_forced_by_an_infinite_logit(cold, way):
    def force(ids, scores):
        scores[:, 42] = math.inf
        return scores

    results = cold.generate([Request(SHORT, max_new_tokens=2, logits_processor=[force], **way)])
    assert results[0].tokens == [42, 42]


def test_warpers_come_after_the_temperature(cold):
    request = Request(SHORT, "head", alpha=None, temperature=50.0, seed=1, warpers=[MinPLogitsWarper(0.9)])
    warped = cold.generate([request])[0].tokens

    def same(ids, scores):
        assert scores.max() - scores.min() < 10
        return scores.masked_fill(scores < scores.max() + math.log(0.9), -math.inf)

    request.warpers = [same]
    assert cold.generate([request])[0].tokens == warped


def test_a_warper_that_leaves_nothing(cold):
    request = Request(SHORT, "head", temperature=1.0, warpers=[lambda ids, scores: scores - math.inf])
    other = Request(LONG, max_new_tokens=3, **DRAWN)
    results = cold.generate([request, other])
    assert (results[0].tokens, results[0].finish_reason) == ([], "no_token")
    assert results[1] == cold.generate([other])[0]


def test_the_model_s_logits_are_not_written(cold, llama):
    outputs = []
    handle = llama.register_forward_hook(lambda _, __, output: outputs.append((output.logits, output.logits.clone())))
    try:
        ban = Only(len(SHORT), [[1]] * 3)
        cold.generate([Request(SHORT, max_new_tokens=3, logits_processor=[ban]), Request(LONG, max_new_tokens=3)])
    finally:
        handle.remove()
    assert len(outputs) == 3 and all(torch.equal(now, then) for now, then in outputs)
