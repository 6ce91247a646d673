"""Whatever runs in place of the adapted layers: the expert's own tokens, or an error that names the layer."""

import copy

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from torch.nn import functional as F

from decoding import ContrastiveLoRA, Request

from .tiny import prompts, quiet, save_adapter, tiny_model

PROMPT, OTHER = prompts(6, 10, seed=5)
NEW = 4
padded = pytest.mark.parametrize("scheme", ["padded"], indirect=True)
"""Shapes are told, which padded passes have of the requests alone."""


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def wanted(references):
    return [references["patterned"].greedy(prompt, NEW) for prompt in (PROMPT, OTHER)]


@pytest.fixture(autouse=True)
def fresh():
    yield
    torch.compiler.reset()


def tokens(cold):
    requests = [Request(prompt, "patterned", max_new_tokens=NEW) for prompt in (PROMPT, OTHER)]
    return [result.tokens for result in cold.generate(requests)]


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([PROMPT])).logits


def compiled_whole(model):
    model.compile(backend="eager")


def compiled_forward(model):
    model.forward = torch.compile(model.forward, backend="eager")


def compiled_layer(model):
    model.model.layers[1].compile(backend="eager")


def compiled_copy_of_a_layer(model):
    model.model.layers[0] = torch.compile(model.model.layers[0], backend="eager")


def compiled_linear(model):
    model.model.layers[0].mlp.up_proj = torch.compile(model.model.layers[0].mlp.up_proj, backend="eager")


COMPILED = [compiled_whole, compiled_forward, compiled_layer, compiled_copy_of_a_layer, compiled_linear]


@pytest.mark.parametrize("compile_it", COMPILED)
def test_compiled_and_called_before(model, folders, references, compile_it):
    compile_it(model)
    (base,) = ContrastiveLoRA(model, {}).generate([Request(PROMPT, max_new_tokens=1)])  # a pass of the same shape
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    (expert,) = cold.generate([Request(PROMPT, "patterned", beta=0, max_new_tokens=1, logprobs=True)])
    logits = references["patterned"].logits(PROMPT)[0]
    assert expert.tokens == [int(logits.argmax())]
    assert expert.expert_logprobs == pytest.approx([float(logits.log_softmax(0).max())], abs=1e-4)
    assert cold.generate([Request(PROMPT, max_new_tokens=1)])[0] == base


@pytest.mark.parametrize("compile_it", COMPILED[:3])
def test_compiled_while_attached(model, folders, wanted, compile_it):
    cold, base = ContrastiveLoRA(model, {"patterned": folders["patterned"]}), logits(model)
    compile_it(model)
    assert torch.equal(logits(model), base)
    assert tokens(cold) == wanted
    assert torch.equal(logits(model), base)


def test_passes_of_two_compiled_models_overlap(model, folders, wanted):
    counted = []

    def backend(graph, _):
        counted.append(1)
        return graph

    model.compile(backend="eager")
    cold, other = (ContrastiveLoRA(model, {"patterned": folders["patterned"]}) for _ in range(2))
    one, two = (each._loaded.injection.acting(torch.zeros(3, dtype=torch.int64), (1, 3)) for each in (cold, other))
    one.__enter__()
    two.__enter__()
    for each in (one, two):  # left in the order in which they were entered
        with pytest.raises(RuntimeError, match="was called 0 times in a forward pass"):
            each.__exit__(None, None, None)
    assert tokens(cold) == wanted
    torch.compile(lambda x: x + 1, backend=backend)(torch.ones(1))
    assert counted  # what is called outside of passes is compiled


def never_called(model):
    """Its weights are used in another way."""
    mlp = model.model.layers[1].mlp
    mlp.forward = lambda x: mlp.down_proj(mlp.act_fn(F.linear(x, mlp.gate_proj.weight)) * mlp.up_proj(x))


def called_twice(model):
    mlp = model.model.layers[1].mlp
    mlp.forward = lambda x: mlp.down_proj(mlp.act_fn(mlp.gate_proj(x)) * mlp.gate_proj(x) * mlp.up_proj(x))


def called_on_one_token(model):
    mlp = model.model.layers[0].mlp
    forward = mlp.forward
    mlp.forward = lambda x: forward(x[:, -1:]).expand_as(x)


def called_the_other_way_round(model):
    mlp = model.model.layers[0].mlp
    forward = mlp.forward
    mlp.forward = lambda x: forward(x.transpose(0, 1)).transpose(0, 1)


def replaced_layer(model):
    model.model.layers[0].mlp.up_proj = torch.nn.Linear(32, 48, bias=False)


def replaced_block(model):
    model.model.layers[0] = tiny_model().model.layers[0]


def hooks_cleared(model):
    model.model.layers[1].self_attn.o_proj._forward_hooks.clear()


@pytest.mark.parametrize(
    "bypass, complaint",
    [
        (never_called, "model.layers.1.mlp.gate_proj was called 0 times in a forward pass, not 1, so that its adapter"),
        (called_twice, "model.layers.1.mlp.gate_proj is called 2 times in a forward pass, not 1, so that its adapter"),
        (
            called_on_one_token,
            r"model.layers.0.mlp.gate_proj is given tokens of shape \[4, 1\] in a pass of 4",
        ),
        (called_the_other_way_round, r"model.layers.0.mlp.gate_proj is given tokens of shape \[10, 4\] in a pass of 4"),
        (replaced_layer, "model.layers.0.mlp.up_proj was replaced after the adapters were attached: there is a Linear"),
        (replaced_block, "model.layers.0.self_attn.q_proj was called 0 times in a forward pass"),
        (hooks_cleared, "model.layers.1.self_attn.o_proj was called 0 times in a forward pass"),
    ],
)
@padded
def test_a_layer_that_is_passed_by(model, folders, scheme, bypass, complaint):
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    bypass(model)
    with pytest.raises(RuntimeError, match=complaint):
        tokens(cold)
    assert len(cold.generate([Request(PROMPT, max_new_tokens=NEW)])[0].tokens) == NEW  # the base model is as it is


def test_a_copied_block_in_packed_passes(model, folders):
    """Its attention has a configuration of its own, and would not be the packed one."""
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    model.model.layers[0] = copy.deepcopy(model.model.layers[0])
    with pytest.raises(RuntimeError, match="attention of layer 0 has not run; the model cannot be packed"):
        tokens(cold)


@quiet
def test_peft_put_into_the_model_afterwards(model, folders, wanted):
    from peft import PeftModel

    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    peft = PeftModel.from_pretrained(model, folders["head"])
    with pytest.raises(RuntimeError, match="o_proj was replaced after the adapters were attached"):
        tokens(cold)
    peft.unload()
    assert tokens(cold) == wanted


@padded
def test_a_copy_in_the_place_of_a_layer_has_its_adapters(model, folders, wanted, scheme):
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    model.model.layers[0] = copy.deepcopy(model.model.layers[0])
    assert tokens(cold) == wanted


@pytest.mark.parametrize("output", [(torch.zeros(1),), torch.zeros(4, 10, 47), torch.zeros(10, 4, 48)])
@padded
def test_a_layer_that_returns_something_else(model, folders, scheme, output):
    cold = ContrastiveLoRA(model, {"patterned": folders["patterned"]})
    model.model.layers[1].mlp.up_proj.register_forward_hook(lambda *_: output, prepend=True)
    with pytest.raises(RuntimeError, match=r"model.layers.1.mlp.up_proj returns .* and no tensor \[4, 10, 48\]"):
        tokens(cold)


@pytest.mark.parametrize(
    "adapted, complaint",
    [
        (0, "layers.0.mlp.up_proj stands in the model as model.layers.1.mlp.up_proj too; adapters act in one place"),
        (
            1,
            "adapts model.layers.1.mlp.up_proj, which is model.layers.0.mlp.up_proj as well; adapters act in one place",
        ),
    ],
)
def test_a_layer_in_two_places(model, tmp_path, adapted, complaint):
    folder = save_adapter(tmp_path, model, target_modules=rf".*\.{adapted}\.mlp\.up_proj")
    model.model.layers[1].mlp.up_proj = model.model.layers[0].mlp.up_proj
    with pytest.raises(ValueError, match=complaint):
        ContrastiveLoRA(model, {"a": folder})
    assert not any(module._forward_hooks for module in model.modules())
