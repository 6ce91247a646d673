"""Requests that are refused, and where texts end."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import MaxLengthCriteria, MinPLogitsWarper, StoppingCriteria

from decoding import ContrastiveLoRA, Request, Result

from .tiny import CONTEXT, VOCABULARY, prompts, tiny_model

INF, NAN = math.inf, math.nan
PROMPT, OTHER = prompts(5, 9, seed=3)
FULL, TOO_LONG = prompts(CONTEXT, CONTEXT + 1, seed=3)
BAD = {
    "no tokens": (dict(input_ids=[]), "input_ids is empty"),
    "no tensor's tokens": (dict(input_ids=torch.tensor([], dtype=torch.int64)), "input_ids is empty"),
    "too long": (dict(input_ids=TOO_LONG), f"input_ids has {CONTEXT + 1} tokens; the model's context is {CONTEXT}"),
    "token-below": (dict(input_ids=[3, -1]), f"input_ids holds -1; .* whole numbers from 0 to {VOCABULARY - 1}"),
    "token-above": (dict(input_ids=torch.tensor([VOCABULARY])), f"input_ids holds {VOCABULARY}; "),
    "token-float": (dict(input_ids=torch.tensor([1.5])), "input_ids holds 1.5; token ids are whole numbers"),
    "token-text": (dict(input_ids="hello"), "input_ids holds 'hello'; token ids are whole numbers"),
    "two rows": (dict(input_ids=torch.tensor([PROMPT] * 2)), r"input_ids holds \[.*\]; token ids are whole numbers"),
    "rows of a list": (dict(input_ids=[PROMPT]), r"input_ids holds \[.*\]; token ids are whole numbers"),
    "no ids": (dict(input_ids=None), "input_ids holds None; token ids are whole numbers"),
    "bytes": (dict(input_ids=b"hello"), "input_ids holds b'hello'; token ids are whole numbers"),
    "a tokenizer's": (dict(input_ids={"input_ids": PROMPT}), "input_ids holds 'input_ids'; token ids are whole"),
    "token-truth": (dict(input_ids=[3, True]), "input_ids holds True; token ids are whole numbers"),
    "tokens-truth": (dict(input_ids=torch.tensor([True])), "input_ids holds True; token ids are whole numbers"),
    "adapter": (dict(adapter="maths"), "adapter 'maths' is not loaded; there are 'attention', 'patterned'"),
    "alpha-0": (dict(alpha=0), "alpha is 0; "),
    "alpha-below": (dict(alpha=-0.5), "alpha is -0.5; "),
    "alpha-above": (dict(alpha=1.01), "alpha is 1.01; "),
    "alpha-nan": (dict(alpha=NAN), "alpha is nan; "),
    "beta-below": (dict(beta=-0.1), "beta is -0.1; 0 or more"),
    "beta-infinite": (dict(beta=INF), "beta is inf; "),
    "beta-huge": (dict(beta=1e39), r"beta is 1e\+39; "),
    "beta-nan": (dict(beta=NAN), "beta is nan; "),
    "length": (dict(max_new_tokens=-1), "max_new_tokens is -1; 0 or more"),
    "temperature-below": (dict(temperature=-1.0), "temperature is -1.0; 0 or more"),
    "temperature-infinite": (dict(temperature=INF), "temperature is inf; "),
    "temperature-nan": (dict(temperature=NAN), "temperature is nan; "),
    "top_k": (dict(top_k=-1), "top_k is -1; 1 or more, or 0 or None for all"),
    "top_k-fraction": (dict(top_k=2.5), "top_k is 2.5; 1 or more"),
    "alpha-text": (dict(alpha="0.1"), "alpha is '0.1'; above 0"),
    "alpha-truth": (dict(alpha=True), "alpha is True; above 0"),
    "beta-none": (dict(beta=None), "beta is None; 0 or more"),
    "beta-several": (dict(beta=torch.tensor([0.5, 1.0])), r"beta is tensor\(\[.*\]\); 0 or more"),
    "beta-truth": (dict(beta=np.bool_(True)), "beta is .*True.*; 0 or more"),
    "beta-tensor": (dict(beta=torch.tensor(-1.0)), r"beta is tensor\(-1.\); 0 or more"),
    "length-fraction": (dict(max_new_tokens=5.0), "max_new_tokens is 5.0; 0 or more"),
    "length-truth": (dict(max_new_tokens=True), "max_new_tokens is True; "),
    "temperature-text": (dict(temperature="hot"), "temperature is 'hot'; "),
    "temperature-complex": (dict(temperature=1j), "temperature is 1j; "),
    "seed-fraction": (dict(seed=1.5), "seed is 1.5; a whole number"),
    "end-outside": (dict(eos_token_id=VOCABULARY), f"eos_token_id holds {VOCABULARY}; token ids are whole"),
    "end-below": (dict(eos_token_id=torch.tensor([3, -1])), "eos_token_id holds -1; "),
    "end-text": (dict(eos_token_id="</s>"), "eos_token_id holds '</s>'; "),
    "end-fraction": (dict(eos_token_id=torch.tensor(2.0)), "eos_token_id holds 2.0; "),
    "end-truth": (dict(eos_token_id=False), "eos_token_id holds False; "),
    "stop-outside": (dict(stop_token_ids=[3, VOCABULARY]), f"stop_token_ids holds {VOCABULARY}; "),
    "stop-text": (dict(stop_token_ids="END"), "stop_token_ids holds 'END'; "),
    "a bare processor": (dict(logits_processor=MinPLogitsWarper(0.1)), "logits_processor is <.*MinP.*; a list of what"),
    "no processor": (dict(logits_processor=["penalty"]), "logits_processor holds 'penalty', which cannot be called"),
    "a bare warper": (dict(warpers=MinPLogitsWarper(0.1)), "warpers is <.*MinP.*; a list of what is to be called"),
    "a bare criterion": (dict(stopping_criteria=MaxLengthCriteria(9)), "stopping_criteria is <.*; a list of what"),
    "logprobs": (dict(logprobs=5), "logprobs is 5; True or False"),
    "top_p-0": (dict(top_p=0.0), "top_p is 0.0; above 0"),
    "top_p-above": (dict(top_p=1.5), "top_p is 1.5; "),
    "top_p-nan": (dict(top_p=NAN), "top_p is nan; "),
    "seed-text": (dict(seed="x"), "seed is 'x'; "),
    "seed-below": (dict(seed=-1), "seed is -1; "),
    "seed-huge": (dict(seed=1 << 64), f"seed is {1 << 64}; "),
}


@pytest.mark.parametrize("fields, complaint", BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_before_anything_runs(cold, fields, complaint):
    def never(ids, scores):
        raise AssertionError

    requests = [Request(PROMPT, logits_processor=[never]), Request(**{"input_ids": PROMPT, **fields})]
    with pytest.raises(ValueError, match=f"^request 1: {complaint}"):
        cold.generate(requests)
    with pytest.raises(ValueError, match=f"^request 1: {complaint}"):
        cold.stream(requests)


def test_an_adapter_where_none_is_loaded(llama):
    with pytest.raises(ValueError, match="request 0: adapter 'a' is not loaded; there are none"):
        ContrastiveLoRA(llama, {}).generate([Request(PROMPT, "a")])


def test_no_new_tokens(cold):
    none, some = cold.generate([Request(PROMPT, max_new_tokens=0, logprobs=True), Request(PROMPT, max_new_tokens=2)])
    assert none == Result([], "length", [], None) and len(some.tokens) == 2


def test_up_to_the_context(cold, references):
    requests = [Request(FULL, "head"), Request(FULL[:-4], "head", max_new_tokens=9), Request(FULL[:-1], "head", beta=0)]
    results = cold.generate(requests)
    assert [len(result.tokens) for result in results] == [0, 4, 1]
    assert {result.finish_reason for result in results} == {"length"}
    assert results[1].tokens == references["head"].greedy(FULL[:-4], 4)


@pytest.fixture(scope="module")
def whole(cold):
    """Tokens without an end."""
    tokens = cold.generate([Request(PROMPT, "patterned", max_new_tokens=8)])[0].tokens
    assert len(set(tokens)) > 4
    return tokens


@pytest.mark.parametrize("field, reason", [("eos_token_id", "eos"), ("stop_token_ids", "stop")])
@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_token_that_ends(cold, whole, place, field, reason):
    place = whole.index(whole[place])
    requests = [Request(PROMPT, "patterned", max_new_tokens=8, **{field: [VOCABULARY - 1, whole[place]]})]
    result, other = cold.generate([*requests, Request(OTHER, max_new_tokens=3)])
    assert (result.tokens, result.finish_reason) == (whole[: place + 1], reason)
    assert len(other.tokens) == 3


def test_the_model_s_own_end(whole, folders):
    model = tiny_model()
    cold = ContrastiveLoRA(model, folders)
    for ends in (whole[1], [whole[1], whole[2]]):
        model.generation_config.eos_token_id = ends
        request = Request(PROMPT, "patterned", max_new_tokens=8)
        assert cold.generate([request])[0] == Result(whole[: whole.index(whole[1]) + 1], "eos")
        for other in ([], VOCABULARY - 1):
            request.eos_token_id = other
            assert cold.generate([request])[0] == Result(whole, "length")


class Ends(StoppingCriteria):
    def __init__(self, text):
        self.text, self.seen = text, []

    def __call__(self, ids, scores, **kwargs):
        self.seen.append(ids[0].tolist())
        return torch.tensor([ids[0, -len(self.text) :].tolist() == self.text])


def test_criteria(cold, whole):
    ends = Ends(whole[1:3])
    request = Request(PROMPT, "patterned", max_new_tokens=8, stopping_criteria=[MaxLengthCriteria(99), ends])
    result, long = cold.generate([request, Request(PROMPT, "patterned", max_new_tokens=8)])
    assert result == Result(whole[:3], "stop") and long.tokens == whole
    assert ends.seen == [PROMPT + whole[:n] for n in (1, 2, 3)]


@pytest.mark.parametrize("options", [dict(), dict(beta=0), dict(temperature=2.0, seed=1), dict(adapter=None)], ids=str)
def test_logprobs(cold, references, options):
    request = Request(PROMPT, **{"adapter": "patterned", "max_new_tokens": 6, "logprobs": True, **options})
    _, result = cold.generate([Request(OTHER, max_new_tokens=2), request])
    assert len(result.expert_logprobs) == 6
    assert (result.amateur_logprobs is None) == ("beta" in options or "adapter" in options)
    for i, token in enumerate(result.tokens):
        expert, amateur = references[request.adapter].logits(PROMPT + result.tokens[:i])
        assert result.expert_logprobs[i] == pytest.approx(float(expert.log_softmax(0)[token]), abs=1e-4)
        if result.amateur_logprobs:
            assert result.amateur_logprobs[i] == pytest.approx(float(amateur.log_softmax(0)[token]), abs=1e-4)
