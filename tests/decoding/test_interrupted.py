"""What interrupts decoding, and threads beside each other: whoever comes next gets the right tokens."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .test_stream import OTHER, PROMPT, REQUESTS
from .tiny import tiny_model


@pytest.fixture(scope="module")
def own(folders):
    """A model that no other test uses, and its adapters."""
    model = tiny_model()
    return model, ContrastiveLoRA(model, folders)


@pytest.fixture(scope="module")
def wanted(own):
    return own[1].generate(REQUESTS)


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([OTHER])).logits


def assert_right(own, wanted):
    model, cold = own
    assert cold.generate(REQUESTS) == wanted
    assert torch.equal(logits(model), logits(tiny_model()))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["model.layers.1.mlp.up_proj", "model.layers.0.self_attn.k_proj", "model.norm", ""])
def test_an_error_in_a_pass(own, wanted, place, error):
    passes = []

    def fail(*_):
        passes.append(1)
        if len(passes) == 3:
            raise error

    handle = own[0].get_submodule(place).register_forward_hook(fail)
    with pytest.raises(error):
        own[1].generate(REQUESTS)
    handle.remove()
    assert_right(own, wanted)


def test_an_error_in_a_processor(own, wanted):
    def fail(ids, scores):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        own[1].generate([*REQUESTS, Request(PROMPT, "head", logits_processor=[fail])])
    assert_right(own, wanted)


def test_streams_that_are_left(own, wanted):
    open_steps = own[1].stream(REQUESTS)
    for _ in range(3):
        next(open_steps)
    assert_right(own, wanted)
    open_steps.close()
    del open_steps
    own[1].stream(REQUESTS)
    assert_right(own, wanted)


def test_threads(own, wanted):
    model, cold = own
    halves = [REQUESTS[:1], REQUESTS[1:]]
    alone, base = [cold.generate(half) for half in halves], logits(model)

    def decode(half):
        return [cold.generate(half) for _ in range(6)]

    def call():
        return [logits(model) for _ in range(60)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor() as pool:
            decoding, calling = [pool.submit(decode, half) for half in halves], pool.submit(call)
            for future, result in zip(decoding, alone):
                assert all(each == result for each in future.result())
            assert all(torch.equal(each, base) for each in calling.result())
    finally:
        sys.setswitchinterval(interval)
    assert_right(own, wanted)


def test_a_stream_handed_to_another_thread(own, wanted):
    steps = own[1].stream(REQUESTS[:1])
    first = next(steps)
    with ThreadPoolExecutor() as pool:
        rest = pool.submit(list, steps).result()
    assert [step.token for step in [first, *rest]] == wanted[0].tokens


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad, torch.no_grad])
def test_grad_modes(own, wanted, mode):
    with mode():
        assert own[1].generate(REQUESTS) == wanted
        steps = own[1].stream(REQUESTS)
        begun = [next(steps) for _ in range(5)]
    assert [step.token for step in [*begun, *steps] if step.request == 0] == wanted[0].tokens
