"""Numbers and ids of other kinds than Python's own, and what None means."""

from fractions import Fraction

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import GenerationConfig

from decoding import ContrastiveLoRA, Request

from .tiny import CONTEXT, VOCABULARY, prompts, tiny_model

(PROMPT,) = prompts(5, seed=3)
NEW = 6
GREEDY = dict(adapter="patterned", max_new_tokens=NEW)
DRAWN = dict(GREEDY, temperature=2.0, seed=5)


@pytest.fixture(scope="module")
def decode(cold):
    def call(prompt=PROMPT, **fields):
        return cold.generate([Request(prompt, **fields)])[0]

    return call


PROMPTS = {
    "tuple": tuple,
    "NumPy": np.array,
    "NumPy, one row": lambda ids: np.array([ids]),
    "tensor": torch.tensor,
    "tensor of int32": lambda ids: torch.tensor(ids, dtype=torch.int32),
    "tensor, one row": lambda ids: torch.tensor([ids]),
    "NumPy's integers": lambda ids: [np.int64(token) for token in ids],
    "torch's integers": lambda ids: [torch.tensor(token) for token in ids],
}


@pytest.mark.parametrize("kind", PROMPTS.values(), ids=PROMPTS)
def test_prompts(decode, kind):
    assert decode(kind(PROMPT), **GREEDY) == decode(**GREEDY)


def test_a_range(decode):
    assert decode(range(4, 9), **GREEDY) == decode([4, 5, 6, 7, 8], **GREEDY)


SAME = {
    "alpha": (dict(alpha=0.25), [np.float32(0.25), torch.tensor(0.25), np.array(0.25), Fraction(1, 4)]),
    "alpha, whole": (dict(alpha=1.0), [1, np.int32(1), torch.tensor(1)]),
    "beta": (dict(beta=2.0), [2, np.float64(2), torch.tensor(2, dtype=torch.bfloat16)]),
    "no beta": (dict(beta=0.0), [0, np.int64(0), torch.tensor(0.0)]),
    "max_new_tokens": (dict(max_new_tokens=3), [np.uint8(3), torch.tensor(3)]),
    "temperature": (dict(temperature=0.5), [np.float16(0.5), torch.tensor(0.5)]),
    "no temperature": (dict(temperature=0.0), [None, 0, torch.tensor(0)]),
    "top_k": (dict(top_k=3), [np.int16(3), torch.tensor(3)]),
    "no top_k": (dict(top_k=None), [0, np.int64(0)]),
    "top_p": (dict(top_p=0.5), [np.float32(0.5), torch.tensor(0.5)]),
    "no top_p": (dict(top_p=None), [1, 1.0, np.float64(1)]),
    "seed": (dict(seed=9), [np.uint64(9), torch.tensor(9)]),
}


@pytest.mark.parametrize("field, others", SAME.values(), ids=SAME)
def test_numbers(decode, field, others):
    ((name, _),) = field.items()
    wanted = decode(**{**DRAWN, **field})
    for value in others:
        assert decode(**{**DRAWN, name: value}) == wanted, value


def test_a_small_alpha_is_as_good_as_none(decode):
    assert decode(**{**DRAWN, "alpha": 1e-60}) == decode(**{**DRAWN, "alpha": None})


ENDS = {
    "alone": int,
    "NumPy's": np.int64,
    "torch's": torch.tensor,
    "a set": lambda end: {end},
    "a tuple": lambda end: (VOCABULARY - 1, end),
    "a tensor": lambda end: torch.tensor([VOCABULARY - 1, end]),
    "an array": lambda end: np.array([end]),
    "a list of NumPy's": lambda end: [np.int64(end)],
    "a list of torch's": lambda end: [torch.tensor(end)],
}


@pytest.mark.parametrize("kind", ENDS.values(), ids=ENDS)
def test_ends(decode, kind, folders):
    whole = decode(**GREEDY).tokens
    cut = whole[: whole.index(whole[2]) + 1]
    for name, reason in (("eos_token_id", "eos"), ("stop_token_ids", "stop")):
        result = decode(**GREEDY, **{name: kind(whole[2])})
        assert (result.tokens, result.finish_reason) == (cut, reason)
    model = tiny_model()
    model.generation_config.eos_token_id = kind(whole[2])
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    assert cold.generate([Request(PROMPT, **GREEDY)])[0].finish_reason == "eos"
    assert cold.generate([Request(PROMPT, **GREEDY, eos_token_id=[])])[0].tokens == whole


def test_ends_of_the_model_that_it_does_not_know():
    model = tiny_model()
    cold = ContrastiveLoRA(model, {})
    model.generation_config.eos_token_id = [VOCABULARY + 7, -1]
    assert len(cold.generate([Request(PROMPT, max_new_tokens=NEW)])[0].tokens) == NEW
    model.generation_config = GenerationConfig(eos_token_id="</s>")
    with pytest.raises(ValueError, match="generation config: eos_token_id holds '</s>'; token ids are whole numbers"):
        cold.generate([Request(PROMPT)])


def test_as_many_tokens_as_the_context_holds(decode):
    for length in (CONTEXT - 3, CONTEXT):
        (long,) = prompts(length, seed=length)
        result = decode(long, **{**GREEDY, "max_new_tokens": None})
        assert (len(result.tokens), result.finish_reason) == (CONTEXT - length, "length")
    with pytest.raises(ValueError, match="^this: max_new_tokens is None, and the model's config tells no context"):
        Request(PROMPT, max_new_tokens=None).checked("this", [], VOCABULARY, None)


def test_a_request_is_left_as_it_was(cold):
    request = Request(torch.tensor([PROMPT]), temperature=None, eos_token_id=torch.tensor(3), max_new_tokens=2)
    before = dict(vars(request))
    assert cold.generate([request, request])[0] == cold.generate([request])[0]
    assert all(before[name] is value for name, value in vars(request).items())
