"""Tokens one by one, as they are chosen."""

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import Request

from .tiny import prompts

PROMPT, OTHER = prompts(6, 11, seed=6)
REQUESTS = [
    Request(PROMPT, "patterned", max_new_tokens=7, logprobs=True),
    Request(OTHER, "head", beta=0, max_new_tokens=4),
    Request(OTHER, max_new_tokens=0),
    Request(PROMPT, "mlp", temperature=2.0, seed=1, max_new_tokens=5, logprobs=True),
]


@pytest.fixture(scope="module")
def wanted(cold):
    return cold.generate(REQUESTS)


def test_a_stream_gives_what_generate_does(cold, wanted):
    steps = list(cold.stream(REQUESTS))
    for place, result in enumerate(wanted):
        mine = [step for step in steps if step.request == place]
        assert [step.token for step in mine if step.token is not None] == result.tokens
        assert [step.finish_reason for step in mine] == [None] * (len(mine) - 1) + [result.finish_reason]
        for name in ("expert_logprob", "amateur_logprob"):
            told = [getattr(step, name) for step in mine]
            assert told == (getattr(result, name + "s") or [None] * len(mine))
    assert [step.request for step in steps[:5]] == [2, 0, 1, 3, 0]


def test_a_stream_runs_no_further_than_it_is_asked(llama, cold):
    passes = []
    handle = llama.register_forward_hook(lambda *_: passes.append(1))
    steps = cold.stream([Request(PROMPT, "head", max_new_tokens=5)])
    assert not passes
    for n in range(1, 4):
        next(steps)
        assert len(passes) == n
    handle.remove()


def test_streams_that_take_turns(cold, wanted):
    streams = [cold.stream(REQUESTS) for _ in range(2)]
    tokens = [[], []]
    for steps in zip(*streams, strict=True):
        for mine, step in zip(tokens, steps):
            mine.append((step.request, step.token))
    assert tokens[0] == tokens[1]
    assert [token for request, token in tokens[0] if request == 0] == wanted[0].tokens
