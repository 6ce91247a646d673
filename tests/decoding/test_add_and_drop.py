"""Adapters that come and go while others are decoded with."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .tiny import prompts, tiny_model

PROMPT, OTHER = prompts(6, 10, seed=5)
NEW = 6


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def wanted(references):
    return {name: references[name].greedy(PROMPT, NEW) for name in references}


def request(name, **options):
    return Request(PROMPT, name, max_new_tokens=NEW, **options)


def tokens(cold, name):
    return cold.generate([request(name)])[0].tokens


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_added_and_dropped(model, folders, wanted):
    cold = ContrastiveLoRA(model)
    assert tokens(cold, None) == wanted[None] and not hooks(model)
    for name in ("head", "mlp", "patterned"):
        cold.add(name, folders[name])
    cold.drop("head")
    assert list(cold.slots) == ["mlp", "patterned"]
    for name in (None, "mlp", "patterned"):
        assert tokens(cold, name) == wanted[name]
    with pytest.raises(ValueError, match="adapter 'head' is not loaded; there are 'mlp', 'patterned'"):
        tokens(cold, "head")
    cold.add("head", folders["attention"])
    assert tokens(cold, "head") == wanted["attention"]
    for name in list(cold.slots):
        cold.drop(name)
    assert tokens(cold, None) == wanted[None] and not hooks(model)


def test_no_more_hooks_than_those_of_one_set(model, folders):
    cold = ContrastiveLoRA(model, {"mlp": folders["mlp"]})
    before = hooks(model)
    for _ in range(3):
        cold.add("head", folders["head"])
        tokens(cold, "head")
        cold.drop("head")
    assert hooks(model) == before


def test_requests_under_way_keep_theirs(model, folders, wanted):
    """Also where another of the same name takes its place, in the same batch or one that is not begun."""
    cold = ContrastiveLoRA(model, {name: folders[name] for name in ("head", "mlp")})
    before = hooks(model)
    steps = cold.stream([request("head"), request("mlp"), request(None)])
    begun = [next(steps) for _ in range(4)]
    waiting = cold.stream([request("head")])
    cold.drop("head")
    cold.add("head", folders["patterned"])
    cold.add("attention", folders["attention"])
    for name, other in (("head", "patterned"), ("mlp", "mlp"), ("attention", "attention"), (None, None)):
        assert tokens(cold, name) == wanted[other]
    told = [*begun, *steps]
    for place, name in enumerate(("head", "mlp", None)):
        assert [step.token for step in told if step.request == place] == wanted[name]
    assert [step.token for step in waiting] == wanted["head"]
    cold.drop("head")
    cold.drop("attention")
    cold.add("head", folders["head"])
    assert hooks(model) == before


def test_streams_that_are_left(model, folders):
    cold = ContrastiveLoRA(model, {name: folders[name] for name in ("head", "mlp")})
    begun, waiting = cold.stream([request("head")]), cold.stream([request("head")])
    next(begun)
    with_both = hooks(model)
    cold.drop("head")
    assert hooks(model) > with_both
    begun.close()
    del waiting
    gc.collect()
    tokens(cold, "mlp")
    assert 0 < hooks(model) < with_both
    cold.remove()
    assert not hooks(model)


def test_removed_with_several_sets(model, folders):
    cold = ContrastiveLoRA(model, {"head": folders["head"]})
    steps = cold.stream([request("head")])
    next(steps)
    cold.add("mlp", folders["mlp"])
    cold.remove()
    assert not hooks(model) and not cold.slots
    with pytest.raises(RuntimeError, match="the adapters were removed while requests were decoded"):
        next(steps)
    for change in (lambda: cold.add("x", folders["head"]), lambda: cold.drop("head")):
        with pytest.raises(RuntimeError, match="the adapters have been removed"):
            change()


def test_what_cannot_be_added_or_dropped_changes_nothing(model, folders, wanted, tmp_path):
    cold = ContrastiveLoRA(model, {"head": folders["head"]})
    before = hooks(model)
    with pytest.raises(ValueError, match="adapter 'head' is loaded already; drop it first"):
        cold.add("head", folders["mlp"])
    with pytest.raises(FileNotFoundError, match="adapter 'mlp': no file"):
        cold.add("mlp", tmp_path)
    with pytest.raises(ValueError, match="adapter 'mlp' is not loaded; there are 'head'"):
        cold.drop("mlp")
    with pytest.raises(ValueError, match="an adapter's name is None; it must be a text"):
        cold.add(None, folders["mlp"])
    assert list(cold.slots) == ["head"] and hooks(model) == before
    assert tokens(cold, "head") == wanted["head"]


def test_threads(model, folders, wanted):
    cold = ContrastiveLoRA(model, {"head": folders["head"]})

    def come_and_go(name):
        for _ in range(4):
            cold.add(name, folders[name])
            assert tokens(cold, name) == wanted[name]
            cold.drop(name)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor() as pool:
            changing = [pool.submit(come_and_go, name) for name in ("mlp", "patterned")]
            for _ in range(8):
                assert tokens(cold, "head") == wanted["head"]
            for each in changing:
                each.result()
    finally:
        sys.setswitchinterval(interval)
    assert list(cold.slots) == ["head"]


def test_adapters_without_names(model, folders):
    with pytest.raises(ValueError, match="adapters is a list; give a dictionary of sources by name"):
        ContrastiveLoRA(model, [folders["mlp"]])
    with pytest.raises(ValueError, match="an adapter's name is None; it must be a text"):
        ContrastiveLoRA(model, {None: folders["mlp"]})
