"""What is shown of a model before adapters are attached: a wrong one is refused by name, and left as it was."""

import copy

import pytest
import torch
from torch import nn

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import AutoModel, BertConfig, BertForMaskedLM, LlamaForSequenceClassification, T5Config
from transformers import T5ForConditionalGeneration as T5

from decoding import ContrastiveLoRA, Request
from decoding.proof.proof import prove

from .families import tiny_family
from .sweep import texts
from .tiny import Reference, prompts, save_adapter, tiny_model

PROMPT, OTHER = prompts(6, 10, seed=5)


class Around(nn.Module):
    """Calls a linear layer in a way of its own."""

    def __init__(self, layer, call):
        super().__init__()
        self.inner, self.call = layer, call

    def forward(self, x):
        return self.call(self.inner, x)


def sequence_first(layer, x):
    return layer(x.transpose(0, 1)).transpose(0, 1)


def sorted_by_size(layer, x):
    """As a router sorts the tokens for its experts."""
    flat = x.reshape(-1, x.shape[-1])
    order = flat.norm(dim=-1).argsort()
    return torch.empty(len(flat), layer.out_features).index_copy(0, order, layer(flat[order])).view(*x.shape[:-1], -1)


def some(layer, x):
    """As an expert that is given the tokens of which the router thinks so."""
    flat = x.reshape(-1, x.shape[-1])
    chosen = (flat[:, 0] > 0).nonzero()[:, 0]
    return torch.zeros(len(flat), layer.out_features).index_copy(0, chosen, layer(flat[chosen])).view(*x.shape[:-1], -1)


def by_keyword(layer, x):
    return layer(input=x)


def by_weight(layer, x):
    return nn.functional.linear(x, layer.weight)


def mixing(layer, x):
    return layer(x + x.mean(0, keepdim=True))


def flat(layer, x):
    return layer(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)


def twice(layer, x):
    return layer(x) + layer(x.flip(-1))


def around(call):
    model = tiny_model()
    model.model.layers[1].mlp.up_proj = Around(model.model.layers[1].mlp.up_proj, call)
    return model


ORDERS = {
    sequence_first: "is given its tokens in another order",
    sorted_by_size: "is given its tokens in another order",
    some: "is (given|called for) .*only some of the tokens",
    by_keyword: "does not map one tensor to one tensor",
    by_weight: "is not called in a pass of tokens",
}


@pytest.mark.parametrize("call", ORDERS)
def test_a_layer_that_is_given_something_else(call, tmp_path):
    model = around(call)
    proof = prove(model)
    name = "model.layers.1.mlp.up_proj.inner"
    assert [*proof.refused] == [name] and name not in proof.calls
    with pytest.raises(ValueError, match=f"^adapter 'a' adapts {name}, which {ORDERS[call]}.*; adapt other layers$"):
        ContrastiveLoRA(model, {"a": save_adapter(tmp_path, model, target_modules=["inner"])})
    ContrastiveLoRA(model, {"a": save_adapter(tmp_path / "others", model, target_modules=["q_proj"])})


@pytest.mark.parametrize("call, layouts", [(flat, ("tokens",)), (twice, ("rows", "rows"))])
def test_a_layer_that_is_called_in_another_way(call, layouts):
    model = around(call)
    proof = prove(model)
    assert proof.calls["model.layers.1.mlp.up_proj.inner"] == layouts
    assert (proof.calls["model.layers.0.mlp.up_proj"], proof.calls["lm_head"]) == (("rows",), ("kept",))


def test_rows_that_are_mixed():
    with pytest.raises(ValueError, match="gives a row other logits beside another row than alone: its rows are mixed"):
        ContrastiveLoRA(around(mixing), {})


def encoder_decoder():
    small = dict(vocab_size=99, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=4)
    return T5(T5Config(**small))


def masked():
    small = dict(vocab_size=99, hidden_size=16, num_hidden_layers=1, num_attention_heads=4, intermediate_size=16)
    return BertForMaskedLM(BertConfig(**small)).eval()


def on_meta():
    model = tiny_model()
    model.model.layers[1].mlp.up_proj.to("meta")
    return model


def offloaded():
    model = tiny_model()
    model.model.layers[0]._hf_hook = type("AlignDevicesHook", (), dict(offload=True))()
    return model


def not_a_number():
    model = tiny_model()
    model.model.norm.weight.data.fill_(torch.nan)
    return model


def checkpointing():
    model = tiny_model().train()
    model.activation_checkpointing_enable()
    return model


def hooks_of(model):
    modules = model.modules() if isinstance(model, nn.Module) else ()
    return [[*module._forward_hooks, *module._forward_pre_hooks] for module in modules]


KINDS = {
    "a name": (lambda: "llama", "model is 'llama'; it must be a Hugging Face causal language model"),
    "a module": (lambda: nn.Linear(2, 2), "model is a torch.nn.modules.linear.Linear; it must be"),
    "no head": (lambda: AutoModel.from_config(tiny_model().config).eval(), "LlamaModel has no language-modelling head"),
    "classifier": (
        lambda: LlamaForSequenceClassification(tiny_model(pad_token_id=0).config).eval(),
        "LlamaForSequenceClassification gives logits .*: its head is of another kind",
    ),
    "encoder-decoder": (
        encoder_decoder,
        "is an encoder-decoder, T5ForConditionalGeneration; give a decoder-only model",
    ),
    "encoder": (masked, "BertForMaskedLM is no causal language model: .* is_decoder=True"),
    "meta": (on_meta, "weight model.layers.1.mlp.up_proj.weight is on the meta device .offloaded, or never loaded"),
    "offloaded": (offloaded, "is moved about by accelerate .'model.layers.0'.; load it whole on one device"),
    "NaN": (not_a_number, "gives logits that are not finite"),
    "recurrent": (lambda: tiny_family("rwkv"), "RwkvForCausalLM takes no past_key_values"),
    "window": (
        lambda: tiny_family("moshi"),
        "MoshiForCausalLM cannot be decoded with a cache: .*longer than the window",
    ),
    "checkpointing": (checkpointing, "drops the cache: call model.eval()"),
    "dropout": (lambda: tiny_model(attention_dropout=0.1).train(), "is in training mode and drops out in .*self_attn"),
    "layers left out": (lambda: tiny_family("opt", layerdrop=0.1, dropout=0.0).train(), "drops out in .*model.eval"),
}


@pytest.mark.parametrize("make, complaint", KINDS.values(), ids=KINDS)
def test_a_model_of_a_kind_that_cannot_be_decoded_with(make, complaint):
    model = make()
    before = hooks_of(model)
    with pytest.raises(ValueError, match=complaint):
        ContrastiveLoRA(model, {})
    assert hooks_of(model) == before


def test_a_proven_model_is_as_it_was():
    model = tiny_model()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    prove(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)


SHOWN = {
    "llama": (True, True),
    "mixtral": (True, True),
    "jamba": (True, True),
    "mamba2": (True, False),
    "mamba": (False, False),
    "bart": (False, False),
    "glm_moe_dsa": (False, True),
    "roberta, is_decoder": (False, False),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", SHOWN)
def test_what_is_shown_in_any_type(family, dtype):
    model = tiny_family(family).to(dtype)
    proof = prove(model)
    assert (proof.pads, proof.forward.positions) == SHOWN[family]
    assert bool(proof.recurrent) == (family in ("jamba", "mamba", "mamba2"))


def test_logits_that_hardly_differ():
    model = tiny_model()
    model.lm_head.weight.data.mul_(1e-6).add_(0.1)
    assert prove(model).pads


def test_a_tiny_vocabulary():
    assert prove(tiny_model(vocab_size=5)).pads


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    model = tiny_family("bart")
    folder = save_adapter(tmp_path_factory.mktemp("bart"), model, target_modules=r".*self_attn\.(q|v)_proj")
    return ContrastiveLoRA(model, {"a": folder}), Reference(model, folder)


def test_lengths_apart_where_rows_cannot_be_padded(bart):
    cold, reference = bart
    shapes = []
    handle = cold.model.register_forward_pre_hook(
        lambda _, __, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    short, long, middle = texts()
    requests = [Request(text, "a", max_new_tokens=4, eos_token_id=()) for text in (short, long, short, middle)]
    results = cold.generate(requests)
    handle.remove()
    assert [r.tokens for r in results] == [reference.greedy(r.input_ids, 4) for r in requests]
    assert set(shapes) == {(4, 3), (2, 14), (2, 9), (4, 1), (2, 1)}


def test_a_cache_that_is_dropped_later(tmp_path, scheme):
    model = tiny_model()
    cold = ContrastiveLoRA(model, {"a": save_adapter(tmp_path, model)})
    model.train()
    model.activation_checkpointing_enable()
    with pytest.raises(RuntimeError, match="layer 0 .*; gradient checkpointing in training mode drops the cache"):
        cold.generate([Request(PROMPT, "a", max_new_tokens=3)])
    model.activation_checkpointing_disable()
    assert cold.generate([Request(PROMPT, "a", max_new_tokens=3)])[0].tokens


def test_a_state_that_is_not_written():
    model = tiny_family("mamba")
    proof = prove(model)
    cache = proof.forward.new_cache()
    before = proof.extent(cache)
    with pytest.raises(RuntimeError, match="layer 0 of the cache kept its state"):
        proof.check_grown(cache, before, 1)
    for ids in (PROMPT, OTHER[:1], OTHER[:1]):
        before = proof.extent(cache)
        with torch.no_grad():
            proof.forward(torch.tensor([ids]), cache)
        proof.check_grown(cache, before, len(ids))
    with pytest.raises(RuntimeError, match="layer 0 of the cache kept its state"):
        proof.check_grown(cache, proof.extent(cache), 1)


def test_rows_that_leave_a_recurrent_model(tmp_path):
    model = tiny_family("jamba")
    folder = save_adapter(tmp_path, model, target_modules=["q_proj", "in_proj"])
    cold, reference = ContrastiveLoRA(model, {"a": folder}), Reference(model, folder)
    requests = [Request(text, "a", max_new_tokens=n, eos_token_id=()) for text, n in zip(texts(1), (2, 6, 4))]
    for request, result in zip(requests, cold.generate(requests), strict=True):
        assert result.tokens == reference.greedy(request.input_ids, request.max_new_tokens)
