"""Mixed batches of PEFT by the operators: the tokens of PEFT's own, whatever becomes of the adapters."""

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from peft import LoraConfig
from peft.tuners.lora.layer import Linear, LoraLayer
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from cold_kernels.integrations.peft import attach, detach
from cold_kernels.integrations.peft import layers as layers_module
from cold_kernels.layers import group as group_module
from cold_kernels.layers.tokens import Runs
from tests.decoding.tiny import FAMILIES, quiet, tiny_model, tuned

from .models import NAMES, adapted, batch, filled, logits, own, tokens


@pytest.fixture
def alone(monkeypatch):
    """PEFT computes nothing of a mixed batch itself."""

    def refused(self, *args, **kwargs):
        raise AssertionError("PEFT's own path was taken")

    monkeypatch.setattr(LoraLayer, "_mixed_batch_forward", refused)


@pytest.fixture(params=["products on the CPU", "stacks"])
def kind(request, monkeypatch):
    """Stacks as on a device, whose operators do their work in torch all the same."""
    monkeypatch.setattr(group_module, "in_torch_on_cpu", lambda: request.param != "stacks")
    return request.param


@pytest.fixture
def model():
    model = adapted()
    attach(model)
    yield model
    detach(model)


def close(found, wanted):
    return torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_of_each_family(family, kind, monkeypatch):
    model = adapted(family)
    wanted, wanted_logits = tokens(model), logits(model)
    assert len({tuple(row) for row in tokens(own(model), ["two"] * 7).tolist()} & {*map(tuple, wanted.tolist())}) < 7
    with attach(model), monkeypatch.context() as patch:
        patch.setattr(LoraLayer, "_mixed_batch_forward", None)
        assert torch.equal(tokens(model), wanted)
        assert close(logits(model), wanted_logits)


@quiet
def test_beams_of_an_encoder_and_a_decoder(monkeypatch):
    sizes = dict(vocab_size=99, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0)
    torch.manual_seed(0)
    base = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model("t5", **sizes)).eval()
    model = tuned(base, target_modules=["q", "k", "v", "o", "wi", "wo"], task_type="SEQ_2_SEQ_LM")
    given = dict(input_ids=batch(3).remainder(99), adapter_names=["default", "__base__", "default"])
    given |= dict(num_beams=2, max_new_tokens=5, do_sample=False)
    wanted = model.generate(**given)
    with attach(model), monkeypatch.context() as patch:
        patch.setattr(LoraLayer, "_mixed_batch_forward", None)
        assert torch.equal(model.generate(**given), wanted)


def test_base_rows_are_the_base_model_s_bit_for_bit(alone):
    model = adapted()
    with attach(model):
        mixed, base = logits(model, ["two", "__base__", "three"]), logits(model, ["__base__"] * 3)
    with model.disable_adapter(), torch.no_grad():
        assert torch.equal(model(input_ids=batch(3)).logits, base)
    assert torch.equal(mixed[1], base[1]) and not torch.equal(mixed[0], base[0])


def test_one_shrink_for_layers_that_share_an_input(alone, monkeypatch):
    monkeypatch.setattr(group_module, "in_torch_on_cpu", lambda: False)
    shrinks, shrink = [], group_module._Stacked.shrink
    monkeypatch.setattr(
        group_module._Stacked, "shrink", lambda self, *args: shrinks.append(self) or shrink(self, *args)
    )
    model = tuned(tiny_model())
    with attach(model):
        logits(model, ["default", "__base__"])
    assert len(shrinks) == len(set(shrinks)) == 2 * 4  # of each layer: q, k, v; o; gate, up; down


def test_rows_are_gathered_once_for_layers_that_share_an_input(alone, monkeypatch):
    model, gathered, inputs = tuned(tiny_model()), [], Runs.inputs

    def noted(self, x):
        gathered.append(inputs(self, x))
        return gathered[-1]

    monkeypatch.setattr(Runs, "inputs", noted)
    with attach(model):
        logits(model, ["default", "__base__"] * 2)
    assert len(gathered) == 2 * 7 and len(set(map(id, gathered))) == 2 * 4


def test_rows_are_grouped_once_for_a_shape(model):
    layers_module._tokens.cache_clear()
    tokens(model)
    kinds = {layer.__dict__[layers_module.ADAPTED].plan.adapters for layer in model.modules() if type(layer) is Linear}
    assert layers_module._tokens.cache_info().misses == 2 * len(kinds)  # the prompt's pass, and all of the others


def layer_of(model, own="q_proj"):
    return next(module for name, module in model.named_modules() if name.endswith(f"layers.0.self_attn.{own}"))


def weights(model, matrix="A", adapter="default", own="q_proj"):
    return getattr(layer_of(model, own), f"lora_{matrix}")[adapter].weight


def loaded(model):
    model.add_adapter("four", LoraConfig(r=9, lora_alpha=4, target_modules=["q_proj", "down_proj"]))
    filled(model, "four")


def replaced(model):
    model.delete_adapter("two")
    model.add_adapter("two", LoraConfig(r=2, lora_alpha=9, target_modules=["k_proj", "o_proj"]))
    filled(model, "two")


def trained(model):
    model.set_adapter("default")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(input_ids=batch(2)).logits.square().mean().backward()
    optimizer.step()


def reloaded(model):
    state = {name: tensor * 1.5 for name, tensor in model.state_dict().items() if "lora_A" in name}
    model.load_state_dict(state, strict=False, assign=True)


def rescaled(model):
    for layer in model.modules():
        if type(layer) is Linear:
            layer.set_scale("default", 3.0)
            if "two" in layer.scaling:
                layer.scaling["two"] *= 0.5


def swapped(model):
    torch.utils.swap_tensors(weights(model), torch.nn.Parameter(torch.randn_like(weights(model))))


CHANGES = dict(
    loaded=loaded,
    replaced=replaced,
    trained=trained,
    reloaded=reloaded,
    rescaled=rescaled,
    swapped=swapped,
    deleted=lambda model: model.delete_adapter("two"),
    in_place=lambda model: weights(model).detach().mul_(2),
    an_element=lambda model: weights(model, "B", own="o_proj").detach()[0, 0].add_(3.0),
    other_memory=lambda model: setattr(weights(model), "data", torch.randn_like(weights(model))),
    other_memory_of_b=lambda model: setattr(weights(model, "B"), "data", torch.randn_like(weights(model, "B"))),
    in_half_precision=lambda model: model.bfloat16(),
    base_in_half_precision=lambda model: [
        setattr(module, "data", module.data.bfloat16())
        for name, module in model.named_parameters()
        if "lora" not in name
    ],
    adapters_in_half_precision=lambda model: [
        setattr(module, "data", module.data.bfloat16()) for name, module in model.named_parameters() if "lora" in name
    ],
)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_followed(model, kind, change):
    logits(model)
    quiet(change)(model)
    names = dict(loaded=[*NAMES, "four"], deleted=[name for name in NAMES if name != "two"])
    names = names.get(next(name for name in CHANGES if CHANGES[name] is change), NAMES)
    found, wanted = logits(model, names), logits(own(model), names)
    assert found.dtype == wanted.dtype
    if all(parameter.dtype == torch.float32 for parameter in model.parameters()):
        assert close(found, wanted)
    else:  # PEFT rounds in between, and the operators do not
        exact = logits(own(model).float(), names)
        errors = [(each.float() - exact).abs().max() for each in (found, wanted)]
        assert errors[0] <= 1.2 * errors[1]


@pytest.mark.parametrize("matrix", "AB")
@pytest.mark.parametrize("own_name", ["q_proj", "o_proj"])
def test_a_write_that_torch_does_not_count_is_seen_on_the_cpu(model, matrix, own_name):
    logits(model)
    weight = weights(model, matrix, own=own_name)
    version = weight._version
    weight.data.mul_(-2)
    assert weight._version == version and close(logits(model), logits(own(model)))


def test_a_copy_is_not_attached(model):
    logits(model)
    copied = own(model)
    assert all(layer.__dict__.get(layers_module.ADAPTED) is None for layer in copied.modules())
    weights(copied).data.mul_(2)
    with attach(copied):
        assert close(logits(copied), logits(own(copied)))
    assert not close(logits(copied), logits(model))


def test_other_passes_stay_as_they_are(model):
    plain = own(model)
    ids = batch(3)
    for choose in (lambda m: m.set_adapter("two"), lambda m: m.set_adapter("default")):
        choose(model), choose(plain)
        with torch.no_grad():
            assert torch.equal(model(input_ids=ids).logits, plain(input_ids=ids).logits)


def test_the_same_input_given_again_after_a_change(model):
    layer, x = layer_of(model), torch.randn(2, 3, 32)
    names = ["default", "two"]
    with torch.no_grad():
        layer(x, adapter_names=names)
        weights(model).data.mul_(3)
        assert close(
            layer(x, adapter_names=names), own(model).get_submodule(_name(model, layer))(x, adapter_names=names)
        )


def _name(model, layer):
    return next(name for name, module in model.named_modules() if module is layer)
