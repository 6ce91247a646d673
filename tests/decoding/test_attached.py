"""What a model is while it has adapters beside it, and after: what it was, bit for bit."""

import copy

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .tiny import Reference, prompts, save_adapter, tiny_model

PROMPT, OTHER = prompts(6, 10, seed=5)
NEW = 6


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def wanted(references):
    return {name: references[name].greedy(PROMPT, NEW) for name in ("head", "patterned")}


def tokens(cold, **options):
    return cold.generate([Request(PROMPT, max_new_tokens=NEW, **options)])[0].tokens


def outputs(model):
    """Of a pass with and one without padding, whatever is in the model."""
    ids = torch.tensor([PROMPT, OTHER[:6]])
    mask = torch.tensor([[0, 1, 1, 1, 1, 1], [1] * 6])
    with torch.no_grad():
        return torch.cat([model(ids).logits, model(ids, attention_mask=mask).logits])


def assert_untouched(model, other):
    mine, theirs = model.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for name, tensor in mine.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor.view(torch.int32), theirs[name].view(torch.int32)), name
    assert [type(module) for module in model.modules()] == [type(module) for module in other.modules()]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_attached_it_is_the_base_model(model, folders):
    before, logits = copy.deepcopy(model), outputs(model)
    cold = ContrastiveLoRA(model, folders)
    assert_untouched(model, before)
    assert torch.equal(outputs(model), logits)
    tokens(cold, adapter="patterned")
    assert torch.equal(outputs(model), logits)
    steps = cold.stream([Request(PROMPT, "patterned", max_new_tokens=NEW)])
    for _ in steps:
        assert torch.equal(outputs(model), logits)
    assert_untouched(model, before)


def test_removed_nothing_is_left(model, folders, wanted):
    before, logits = copy.deepcopy(model), outputs(model)
    cold = ContrastiveLoRA(model, folders)
    assert tokens(cold, adapter="head") == wanted["head"]
    cold.remove()
    assert_untouched(model, before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(outputs(model), logits)
    cold.remove()
    for use in (cold.generate, cold.stream):
        with pytest.raises(RuntimeError, match="the adapters have been removed; make a new ContrastiveLoRA"):
            use([Request(PROMPT)])
    assert tokens(ContrastiveLoRA(model, folders), adapter="head") == wanted["head"]


def test_removed_while_a_stream_is_open(model, folders):
    cold = ContrastiveLoRA(model, folders)
    steps = cold.stream([Request(PROMPT, "head", max_new_tokens=NEW)])
    next(steps)
    cold.remove()
    with pytest.raises(RuntimeError, match="the adapters were removed while requests were decoded"):
        next(steps)


def test_hooks_of_others_stay(model, folders):
    seen = []
    model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *_: seen.append(1))
    cold = ContrastiveLoRA(model, folders)
    cold.remove()
    seen.clear()
    outputs(model)
    assert len(seen) == 2


def test_two_on_one_model(model, folders, wanted):
    one = ContrastiveLoRA(model, {"a": folders["head"]})
    two = ContrastiveLoRA(model, {"a": folders["patterned"]})
    open_steps = one.stream([Request(PROMPT, "a", max_new_tokens=NEW)])
    first = [next(open_steps).token]
    assert tokens(two, adapter="a") == wanted["patterned"]
    assert first + [step.token for step in open_steps] == wanted["head"]
    one.remove()
    assert tokens(two, adapter="a") == wanted["patterned"]


def test_a_model_can_be_trained_while_attached(model, folders):
    ContrastiveLoRA(model, folders)
    plain = tiny_model()
    for each in (model, plain):
        each(input_ids=torch.tensor([PROMPT]), labels=torch.tensor([PROMPT])).loss.backward()
    for (name, parameter), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(parameter.grad, other.grad), name


@pytest.mark.parametrize("family, options", [("gpt2", {}), ("llama", dict(attention_dropout=0.2))])
def test_a_model_that_drops_out(tmp_path, family, options):
    model = tiny_model(family, **options)
    cold = ContrastiveLoRA(model, {"a": save_adapter(tmp_path, model)})
    model.train()
    with pytest.raises(ValueError, match="in training mode and drops out in .*; call model.eval"):
        tokens(cold, adapter="a")
    model.eval()
    assert tokens(cold, adapter="a")


def test_training_mode_without_dropout_is_no_matter(model, folders, wanted):
    assert tokens(ContrastiveLoRA(model.train(), folders), adapter="head") == wanted["head"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types(tmp_path, dtype):
    model = tiny_model().to(dtype)
    folder = save_adapter(tmp_path, model)
    cold, reference = ContrastiveLoRA(model, {"a": folder}), Reference(model, folder)
    requests = [Request(p, "a", beta=b, max_new_tokens=NEW, logprobs=True) for p in (PROMPT, OTHER) for b in (0, 0.5)]
    for request, result in zip(requests, cold.generate(requests), strict=True):
        for i, token in enumerate(result.tokens):
            text = request.input_ids + result.tokens[:i]
            scores = reference.scores(text, alpha=0.05, beta=request.beta).float()
            assert scores[token] > scores.max() - 0.5
            logprob = reference.logits(text)[0].float().log_softmax(0)[token]
            assert result.expert_logprobs[i] == pytest.approx(float(logprob), abs=0.25)
