"""Amateurs that lag: the same tokens as with amateurs that are always asked, for fewer tokens fed."""

import dataclasses

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import RepetitionPenaltyLogitsProcessor

from decoding import Request
from decoding.loop.course import MOST_BEHIND, Course
from decoding.loop.lagging import worth_lagging
from decoding.packed.rows import PackedRows

from .tiny import VOCABULARY, prompts

PROMPTS = prompts(*[3 + i % 9 for i in range(200)], seed=11)
NEW = 24
SHARP = 0.6
"""An alpha at which few tokens pass the mask of a random model."""


@pytest.fixture
def lag(monkeypatch):
    """Sets whether amateurs lag."""

    def to(value):
        monkeypatch.setattr("decoding.loop.decode.worth_lagging", lambda rows, courses: value)

    return to


@pytest.fixture
def steps(monkeypatch):
    """What became of the guesses: "right" and "wrong" ones, and "tokens" that amateurs were fed."""
    counts = dict(right=0, wrong=0, tokens=0)
    close, take_back, forward = Course.close, PackedRows.take_back, PackedRows.forward

    def closing(course):
        counts["right"] += 1
        return close(course)

    def taking(rows, row, count):
        counts["wrong"] += 1
        counts["right"] -= 1
        return take_back(rows, row, count)

    def running(rows, feeds, acting):
        counts["tokens"] += sum(len(feed.tokens) for feed in feeds if rows._slots[feed.row] < 0)
        return forward(rows, feeds, acting)

    monkeypatch.setattr(Course, "close", closing)
    monkeypatch.setattr(PackedRows, "take_back", taking)
    monkeypatch.setattr(PackedRows, "forward", running)
    return counts


def both(cold, lag, requests):
    """Results without and with lag, of eight requests at a time."""
    found = []
    for value in (False, True):
        lag(value)
        found.append([r for i in range(0, len(requests), 8) for r in cold.generate(requests[i : i + 8])])
    return found


@pytest.mark.parametrize("way", [{}, dict(temperature=1.5, top_k=40)], ids=["greedy", "drawn"])
def test_the_same_tokens_for_two_hundred_prompts(cold, lag, steps, way):
    names = ["patterned", "head", "attention", "mlp"]
    requests = [
        Request(p, names[i % 4], alpha=SHARP if i % 3 else 0.1, max_new_tokens=NEW, seed=i, **way)
        for i, p in enumerate(PROMPTS)
    ]
    eager, lagging = both(cold, lag, requests)
    assert lagging == eager
    assert steps["right"] > 500 and steps["wrong"] > 50


def test_amateurs_are_fed_less(cold, lag, steps):
    requests = [Request(p, "attention", alpha=0.9, beta=0.1, max_new_tokens=NEW) for p in PROMPTS[:16]]
    tokens = []
    for value in (False, True):
        lag(value)
        steps["tokens"] = 0
        cold.generate(requests)
        tokens.append(steps["tokens"])
    assert tokens[0] == sum(len(p) + NEW - 1 for p in PROMPTS[:16])
    assert tokens[1] < tokens[0]  # what is pending at the end is never fed


ENDS = {
    "an end": lambda tokens: dict(eos_token_id=tokens[9]),
    "a stop": lambda tokens: dict(stop_token_ids=[tokens[7]]),
    "a length": lambda tokens: dict(max_new_tokens=5),
    "processors": lambda tokens: dict(logits_processor=[RepetitionPenaltyLogitsProcessor(1.5)]),
    "criteria": lambda tokens: dict(stopping_criteria=[lambda ids, scores: bool(ids[0, -1] == tokens[7])]),
    "probabilities": lambda tokens: dict(logprobs=True),
    "no mask": lambda tokens: dict(alpha=None),
}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
def test_ends_and_what_needs_an_amateur(cold, lag, ends):
    requests = [Request(p, "patterned", alpha=SHARP, max_new_tokens=NEW) for p in PROMPTS[:8]]
    tokens = [result.tokens for result in cold.generate(requests)]
    eager, lagging = both(cold, lag, [dataclasses.replace(r, **ends(t)) for r, t in zip(requests, tokens)])
    for mine, theirs in zip(lagging, eager, strict=True):
        assert (mine.tokens, mine.finish_reason) == (theirs.tokens, theirs.finish_reason)
        assert mine.expert_logprobs == pytest.approx(theirs.expert_logprobs, abs=1e-4)
        assert mine.amateur_logprobs == pytest.approx(theirs.amateur_logprobs, abs=1e-4)


def test_a_processor_sees_settled_texts_once_a_step(cold, lag):
    seen = []

    def note(ids, scores):
        seen.append(ids[0].tolist())
        return scores

    lag(True)
    request = Request(PROMPTS[0], "patterned", max_new_tokens=NEW, logits_processor=[note])
    tokens = cold.generate([request])[0].tokens
    assert seen == [PROMPTS[0] + tokens[:n] for n in range(NEW)]


def test_an_amateur_lags_no_further_than_it_may():
    course = Course(0, Request([1], "a"), [1], 0, 1, True)
    for text in ([1] * (MOST_BEHIND + 5), [1] * 500):
        course.text = text
        assert course.lags  # its prompt is still to come
    course.feeds(lags=False)
    course.text = [*course.text, *[2] * MOST_BEHIND]
    assert course.lags
    course.text = [*course.text, 2]
    assert not course.lags


def test_an_amateur_that_is_needed_often_does_not_lag():
    course = Course(0, Request([1], "a"), [1], 0, 1, True)
    course.steps, course.contested = 15, 15
    assert course.lags
    course.steps, course.contested = 16, 9
    assert not course.lags
    course.contested = 8
    assert course.lags


class Known:
    """Rows of a known size: a token's keys and values are a millionth of the weights."""

    weights_bytes = 1_000_000

    def __init__(self, on_cpu):
        self.on_cpu = on_cpu

    def bytes_read(self, tokens):
        return tokens


@pytest.mark.parametrize("on_cpu", [True, False])
def test_when_lagging_pays(on_cpu):
    def courses(count, length, may=True):
        return [Course(i, Request([1], "a"), [1] * length, i, count + i, may) for i in range(count)]

    rows = Known(on_cpu)
    assert not worth_lagging(rows, courses(1, 500))
    assert worth_lagging(rows, courses(4, 50)) == on_cpu
    assert not worth_lagging(rows, courses(32, 500))
    assert worth_lagging(rows, courses(32, 5000)) != on_cpu
    assert worth_lagging(rows, courses(32, 50_000))
    assert not worth_lagging(rows, courses(32, 50_000, may=False))


def test_contested_in_doubt(cold):
    from decoding.requests.choice import Chooser

    request = Request([1], "a", alpha=0.1)
    logits = torch.full((1, VOCABULARY), -50.0)
    logits[0, 3] = 7.0
    for below, wanted in ((2.30, True), (2.3025, True), (2.3028, False), (3.0, False)):
        logits[0, 4] = 7.0 - below
        assert Chooser([request]).contested([(0, request)], logits) == [wanted]
