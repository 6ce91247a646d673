"""Types of weights and activations: adapters in the activations' type, or a refusal that says what the layer is."""

import copy

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from torch import nn

from decoding import ContrastiveLoRA, Request

from .tiny import Reference, prompts, save_adapter, tiny_model

PROMPTS = prompts(6, 10, seed=5)
NEW = 4


class Float8(nn.Linear):
    """As transformers' FP8 layers: weights in eight bits, activations in the model's type."""

    def __init__(self, layer):
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        self.scale = layer.weight.abs().max() / 448
        self.weight = nn.Parameter((layer.weight / self.scale).to(torch.float8_e4m3fn), requires_grad=False)

    def forward(self, x):
        return x @ self.dequantised(x.dtype).T

    def dequantised(self, dtype):
        return self.weight.to(dtype) * self.scale.to(dtype)


class Integer8(Float8):
    def __init__(self, layer):
        super().__init__(layer)
        self.scale = layer.weight.abs().max() / 127
        self.weight = nn.Parameter((layer.weight / self.scale).round().to(torch.int8), requires_grad=False)


class Packed(Integer8):
    """Without a parameter of that name, as GPTQ's."""

    def __init__(self, layer):
        super().__init__(layer)
        self.register_buffer("qweight", self.weight.data)
        del self.weight

    def dequantised(self, dtype):
        return self.qweight.to(dtype) * self.scale.to(dtype)


class NoLinear(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = Integer8(layer)
        self.forward = self.layer.forward


def quantised(model, kind):
    """The model with such layers in attention and feed-forward, and one with the weights that they stand for."""
    model, plain = copy.deepcopy(model).requires_grad_(False), copy.deepcopy(model).requires_grad_(False)
    for name, module in list(model.model.named_modules()):
        if isinstance(module, nn.Linear):
            layer, (parent, _, own) = kind(module), name.rpartition(".")
            setattr(model.model.get_submodule(parent), own, layer)
            if isinstance(layer, Float8):
                plain.model.get_submodule(name).weight.copy_(layer.dequantised(module.weight.dtype))
    return model, plain


def tokens(cold):
    return [result.tokens for result in cold.generate([Request(ids, "a", max_new_tokens=NEW) for ids in PROMPTS])]


def stacks(cold):
    return cold._loaded.injection.tensors


@pytest.mark.parametrize("kind", [Float8, Integer8, Packed])
def test_quantised_layers_have_adapters_in_the_type_of_activations(llama, folders, kind):
    model, plain = quantised(llama, kind)
    cold, reference = ContrastiveLoRA(model, {"a": folders["patterned"]}), Reference(plain, folders["patterned"])
    assert {stack.dtype for stack in stacks(cold)} == {torch.float32}
    assert tokens(cold) == [reference.greedy(ids, NEW) for ids in PROMPTS]


@pytest.mark.parametrize("kind", [Float8, Integer8])
def test_quantised_layers_of_a_model_in_half_precision(llama, folders, kind):
    model, plain = quantised(copy.deepcopy(llama).bfloat16(), kind)
    colds = [ContrastiveLoRA(each, {"a": folders["patterned"]}) for each in (model, plain)]
    assert {stack.dtype for cold in colds for stack in stacks(cold)} == {torch.bfloat16}
    assert tokens(colds[0]) == tokens(colds[1])


def test_other_layers_are_refused_by_what_they_are(llama, folders):
    model, _ = quantised(llama, NoLinear)
    with pytest.raises(ValueError, match="adapts model.layers.0.* a NoLinear; only torch.nn.Linear, its subclasses"):
        ContrastiveLoRA(model, {"a": folders["attention"]})
    with pytest.raises(ValueError, match="adapts model.* a Linear of torch.float64; adapters are held in .*float32"):
        ContrastiveLoRA(copy.deepcopy(llama).double(), {"a": folders["attention"]})


@pytest.mark.parametrize("default", [torch.bfloat16, torch.float64])
def test_the_default_type_is_no_matter(llama, folders, default):
    plain = ContrastiveLoRA(copy.deepcopy(llama), {"a": folders["patterned"]})
    wanted = tokens(plain)
    torch.set_default_dtype(default)
    try:
        cold = ContrastiveLoRA(copy.deepcopy(llama), {"a": folders["patterned"]})
        found = tokens(cold)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == wanted
    assert all(map(torch.equal, stacks(cold), stacks(plain)))


def test_a_model_that_is_converted_while_attached(tmp_path):
    model = tiny_model()
    folder = save_adapter(tmp_path, model)
    wide = ContrastiveLoRA(model, {"a": folder})
    model.bfloat16()
    assert all(len(text) == NEW for text in tokens(wide))  # A and B are more exact than they would have to be
    narrow = ContrastiveLoRA(model, {"a": folder})
    model.float()
    with pytest.raises(RuntimeError, match="q_proj is given torch.float32 on cpu, and its adapters are torch.bfloat16"):
        tokens(narrow)
