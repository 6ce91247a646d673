"""Requests of all kinds side by side: each gets what it gets alone, and costs the rows that it needs."""

import dataclasses
import itertools

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding import ContrastiveLoRA, Request

from .conftest import ADAPTERS
from .tiny import Reference, prompts, save_adapter, tiny_model

SHORT, LONG, MIDDLE, ONE = prompts(3, 17, 8, 1)
KINDS = {
    "contrast": Request(LONG, adapter="patterned"),
    "strong": Request(SHORT, adapter="head", alpha=0.01, beta=3.0),
    "plain": Request(MIDDLE, adapter="attention", beta=0),
    "base": Request(LONG[:5]),
    "base with beta": Request(ONE, beta=2.0),
    "short": Request(LONG[3:], adapter="mlp", max_new_tokens=3),
    "drawn": Request(MIDDLE[2:], adapter="patterned", temperature=2.0, seed=3),
    "drawn without contrast": Request(SHORT, adapter="head", beta=0, alpha=None, temperature=1.5, top_k=20, seed=4),
    "drawn from the base": Request(MIDDLE, temperature=1.0, top_p=0.9, seed=5, logprobs=True),
}
NEW = 8
pytestmark = pytest.mark.usefixtures("scheme")
padded = pytest.mark.parametrize("scheme", ["padded"], indirect=True)


@pytest.fixture(scope="module")
def kinds():
    return {n: dataclasses.replace(kind, max_new_tokens=min(NEW, kind.max_new_tokens)) for n, kind in KINDS.items()}


@pytest.fixture(scope="module")
def alone(cold, kinds):
    return {name: cold.generate([kind])[0] for name, kind in kinds.items()}


@pytest.fixture
def passes(llama):
    """The token ids of each pass, as they come."""
    seen = []
    handle = llama.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True)
    yield seen
    handle.remove()


@pytest.mark.parametrize("beta", [0, 0.5])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_of_any_kind(cold, references, adapter, beta):
    results = cold.generate([Request(prompt, adapter=adapter, beta=beta, max_new_tokens=NEW) for prompt in (LONG, ONE)])
    assert [r.tokens for r in results] == [references[adapter].greedy(p, NEW, beta=beta) for p in (LONG, ONE)]
    assert results[0].tokens != references[None].greedy(LONG, NEW)


def test_head_that_shares_the_embedding_s_weight(tmp_path):
    model = tiny_model(tie_word_embeddings=True)
    folder = save_adapter(tmp_path, model, target_modules=["lm_head", "q_proj"])
    cold, reference = ContrastiveLoRA(model, {"head": folder}), Reference(model, folder)
    assert cold.generate([Request(LONG, "head", max_new_tokens=NEW)])[0].tokens == reference.greedy(LONG, NEW)


def test_alone_as_by_peft(alone, kinds, references):
    for name, kind in kinds.items():
        if not kind.temperature:
            beta = kind.beta if kind.adapter else 0
            wanted = references[kind.adapter].greedy(kind.input_ids, kind.max_new_tokens, alpha=kind.alpha, beta=beta)
            assert alone[name].tokens == wanted, name


def assert_as_alone(result, alone):
    assert (result.tokens, result.finish_reason) == (alone.tokens, alone.finish_reason)
    assert result.expert_logprobs == pytest.approx(alone.expert_logprobs, abs=1e-3)
    assert result.amateur_logprobs == pytest.approx(alone.amateur_logprobs, abs=1e-3)


def test_all_together_as_alone(cold, kinds, alone):
    for result, name in zip(cold.generate(list(kinds.values())), kinds, strict=True):
        assert_as_alone(result, alone[name])


@settings(deadline=None, max_examples=15, derandomize=True)
@given(names=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6), ends=st.lists(st.integers(0, NEW)))
def test_any_batch_as_alone(cold, kinds, alone, names, ends):
    requests = [kinds[name] for name in names]
    for i, (request, end) in enumerate(zip(requests, ends)):
        requests[i] = dataclasses.replace(request, max_new_tokens=min(end, request.max_new_tokens))
    for result, request, name in zip(cold.generate(requests), requests, names, strict=True):
        assert result.tokens == alone[name].tokens[: request.max_new_tokens]
        assert result.finish_reason == "length"


def test_the_same_request_twice_in_a_batch(cold, kinds, alone):
    for result in cold.generate([kinds["drawn"]] * 3):
        assert_as_alone(result, alone["drawn"])


@padded
def test_rows_are_those_that_are_needed(cold, passes):
    kinds = [("patterned", 0.5, 5), ("patterned", 0, 3), (None, 0.5, 4), ("head", 1.0, 2)]
    cold.generate([Request(SHORT, adapter=a, beta=b, max_new_tokens=n) for a, b, n in kinds])
    assert [len(ids) for ids in passes] == [6, 6, 4, 3, 2]
    assert [ids.shape[1] for ids in passes] == [len(SHORT), 1, 1, 1, 1]
    passes.clear()
    cold.generate([Request(SHORT, adapter="head", beta=0, max_new_tokens=2), Request(LONG, max_new_tokens=1)])
    assert [tuple(ids.shape) for ids in passes] == [(2, len(LONG)), (1, 1)]


@padded
def test_both_rows_of_a_request_get_its_tokens(cold, kinds, passes):
    requests = [kinds["contrast"], kinds["plain"], kinds["strong"], kinds["drawn"]]
    results = cold.generate(requests)
    for step, ids in enumerate(passes[1:]):
        tokens = [result.tokens[step] for result in results]
        assert ids[:, 0].tolist() == [*tokens, tokens[0], tokens[2], tokens[3]]
    assert torch.equal(passes[0][[0, 2, 3]], passes[0][4:])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[::2])
def test_a_request_that_ends_at_its_token_leaves_the_others(cold, alone, kinds, passes, order, scheme):
    names = ["contrast", "strong", "plain"]
    full = [alone[name].tokens for name in names]
    ends = [next(i for i, token in enumerate(tokens) if i >= 2 + place) for place, tokens in enumerate(full)]
    requests = [dataclasses.replace(kinds[n], eos_token_id=[full[i][e]]) for i, (n, e) in enumerate(zip(names, ends))]
    results = cold.generate([requests[i] for i in order])
    for i, result in zip(order, results):
        first = full[i].index(full[i][ends[i]])
        assert (result.tokens, result.finish_reason) == (full[i][: first + 1], "eos")
    assert scheme == "lagging" or len(passes) == max(len(result.tokens) for result in results)
    assert passes[-1].numel() < passes[0].numel()


def test_no_requests(cold, passes):
    assert cold.generate([]) == [] and not passes


def test_requests_are_left_as_they_were(cold, kinds):
    prompt = list(LONG)
    request = Request(prompt, adapter="head", max_new_tokens=4)
    first = cold.generate([request])
    assert prompt == LONG and request == Request(LONG, adapter="head", max_new_tokens=4)
    assert cold.generate([Request(torch.tensor(LONG), adapter="head", max_new_tokens=4)]) == first
