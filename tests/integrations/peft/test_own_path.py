"""What stays PEFT's to compute in an attached model, what is refused, and what is left when it is detached."""

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
import peft
from peft import LoraConfig
from peft.tuners.lora.layer import Linear, LoraLayer
from torch import nn

from cold_kernels.integrations.peft import Attached, attach, detach
from tests.decoding.tiny import quiet, tiny_model, tuned

from .models import NAMES, adapted, batch, filled, logits, own, tokens
from .test_mixed_batches import layer_of, weights


@pytest.fixture
def taken(monkeypatch):
    """The layers whose mixed batches PEFT computes."""
    layers, theirs = [], LoraLayer._mixed_batch_forward

    def noted(self, *args, **kwargs):
        layers.append(self)
        return theirs(self, *args, **kwargs)

    monkeypatch.setattr(LoraLayer, "_mixed_batch_forward", noted)
    return layers


@pytest.fixture
def attached():
    model = adapted()
    with attach(model):
        yield model


def added(model, **config):
    config = {"r": 2, "target_modules": ["q_proj", "down_proj"], **config}
    quiet(model.add_adapter)("four", LoraConfig(**config))
    filled(model, "four")
    return model.eval()


@pytest.mark.parametrize(
    "config, why",
    [
        (dict(lora_bias=True), "the adapter 'four' has a bias (lora_bias)"),
        (dict(alora_invocation_tokens=[1]), "the adapter 'four' is of the variant ALoraLinearVariant"),
        (dict(r=257), "the adapter 'four' has rank 257; the operators take 1 to 256"),
    ],
    ids=["bias", "aLoRA", "rank"],
)
def test_an_adapter_that_the_operators_do_not_take(attached, taken, config, why):
    logits(attached)
    assert not taken
    added(attached, **config)
    layers = [layer for layer in attached.modules() if type(layer) is Linear and "four" in layer.lora_A]
    left = Attached(attached).left_to_peft()
    assert [line.partition(": ")[2] for line in left] == [why] * len(layers)
    names = ["four", *NAMES]
    found, mine = logits(attached, names), set(map(id, taken))
    assert mine == set(map(id, layers))
    assert torch.allclose(found, logits(own(attached), names), atol=1e-4)
    taken.clear()
    logits(attached)
    assert not taken  # of a batch without it


def test_dora_and_merged_adapters_are_peft_s_own_errors(attached):
    added(attached, use_dora=True)
    with pytest.raises(ValueError, match="DoRA is enabled"):
        logits(attached, ["four"])
    quiet(attached.merge_adapter)(["two"])
    with pytest.raises(ValueError, match="merged adapters"):
        logits(attached)


def test_whole_layers_of_other_kinds():
    model = tuned(tiny_model(), target_modules=["embed_tokens", "q_proj"], modules_to_save=["lm_head"])
    wanted = logits(model, ["default", "__base__"])
    attached = attach(model)
    with attached as same:
        assert same is model and torch.allclose(logits(model, ["default", "__base__"]), wanted, atol=1e-4)
    assert sorted(line.partition(": ")[2] for line in attached.left_to_peft()) == [
        "tuners.lora.layer.Embedding is computed by PEFT",
        "utils.other.ModulesToSaveWrapper is computed by PEFT",
    ]


def test_wanted_gradients(attached, taken):
    attached.set_adapter("default")
    plain, found = own(attached), []
    for model in (attached, plain):
        model(input_ids=batch(), adapter_names=NAMES).logits.square().mean().backward()
        found.append(weights(model).grad)
    assert torch.equal(*found) and found[0].any() and taken


def drop_out(model):
    layer_of(model).lora_dropout["default"] = nn.Dropout(0.5).train()


def hooked(model):
    layer_of(model).lora_A["default"].register_forward_hook(lambda module, args, output: output * 0)


def wrapped(model):
    inner = layer_of(model).lora_B["default"]
    inner.forward = lambda x: nn.functional.linear(x, inner.weight) * 2


class Negated(nn.Module):
    def forward(self, weight):
        return -weight


def parametrized(model):
    torch.nn.utils.parametrize.register_parametrization(layer_of(model).lora_A["default"], "weight", Negated())


@pytest.mark.parametrize("change", [drop_out, hooked, wrapped, parametrized], ids=lambda change: change.__name__)
def test_what_products_alone_would_not_do(attached, taken, change):
    before = logits(attached)
    change(attached)
    torch.manual_seed(0)
    found = logits(attached)
    assert taken == [layer_of(attached)] and not torch.allclose(found, before, atol=1e-3)
    if change in (hooked, parametrized):
        assert torch.allclose(found, logits(own(attached)), atol=1e-4)


def test_autocast_and_a_compiler(attached, taken):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = logits(attached)
        assert torch.equal(found, logits(own(attached)))
    assert taken
    taken.clear()
    compiled = torch.compile(layer_of(attached), backend="eager")
    with torch.no_grad():
        compiled(torch.randn(1, 2, 32), adapter_names=["default"])
    assert taken


def test_inputs_that_an_adapter_s_type_does_not_hold(attached, taken):
    for name, parameter in attached.named_parameters():
        if "lora" in name:
            parameter.data = parameter.data.bfloat16()
    found = logits(attached)
    assert taken and torch.equal(found, logits(own(attached)))


def test_what_cannot_be_attached(attached, monkeypatch):
    with pytest.raises(ValueError, match="model is a LlamaForCausalLM in which PEFT's LoRA adapts no Linear"):
        attach(tiny_model())
    with pytest.raises(ValueError, match="model is a str; give a PeftModel"):
        attach("model")
    with pytest.raises(ValueError, match=r"model is attached already, in base_model.*; call detach\(model\) first"):
        attach(attached)
    monkeypatch.setattr(peft, "__version__", "0.99.0")
    with pytest.raises(RuntimeError, match="peft is 0.99.0; mixed batches are tested with 0.19.1, .*0.21.2 alone"):
        attach(adapted())


def test_detaching_leaves_nothing(taken):
    model, other = adapted(), adapted("qwen2")
    before = set(vars(Linear))
    with attach(model):
        attach(other)
    logits(other)
    assert not taken
    logits(model)
    assert {*taken} == {layer for layer in model.modules() if type(layer) is Linear}
    detach(other), detach(other)
    assert set(vars(Linear)) == before
    assert not any("_cold_kernels" in vars(module) for m in (model, other) for module in m.modules())


def test_an_attached_model_is_saved_as_before(attached, tmp_path):
    wanted = tokens(attached)
    attached.save_pretrained(tmp_path)
    torch.save(attached, tmp_path / "whole.pt")
    again = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert torch.equal(tokens(again), wanted)
