"""PEFT's own models, their adapters read from memory: decoded as PEFT decodes them, and left as they were."""

import copy
import math
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model

from decoding import ContrastiveLoRA, Request, cold_generate

from .tiny import Reference, prompts, quiet, save_adapter, tiny_model, tuned

(PROMPT,) = prompts(6, seed=8)
NEW = 6
TWO = dict(r=3, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "lm_head"])


def several(family="llama"):
    """A PEFT model with two adapters, the second of which changes other layers."""
    peft = tuned(tiny_model(family), target_modules=["q_proj", "o_proj"])
    peft.add_adapter("two", LoraConfig(**TWO))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B.two" in name:
                parameter.normal_(std=0.3)
    return peft


def logits(peft, ids=PROMPT):
    with torch.no_grad():
        return peft(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]


def greedy(peft, adapter, beta=0.5):
    """By PEFT's own passes over a copy, with its adapter and without."""
    peft, ids = copy.deepcopy(peft), list(PROMPT)
    if adapter is not None:
        peft.set_adapter(adapter)
    for _ in range(NEW):
        with peft.disable_adapter():
            amateur = logits(peft, ids)
        expert = amateur if adapter is None else logits(peft, ids)
        valid = expert >= expert.max() + math.log(0.1)
        ids.append(int(((1 + beta) * expert - beta * amateur).masked_fill(~valid, -math.inf).argmax()))
    return ids[len(PROMPT) :]


def tokens(cold, adapter, beta=0.5):
    return cold.generate([Request(PROMPT, adapter, beta=beta, max_new_tokens=NEW)])[0].tokens


def state(peft):
    """All that PEFT and we could change, the identity of every module and parameter with it."""
    modules = [
        (name, id(module), type(module), module.training, sorted(vars(module)), len(module._forward_hooks))
        for name, module in peft.named_modules()
    ]
    layers = [
        (module.active_adapters, list(module.merged_adapters), module.disable_adapters, dict(module.scaling))
        for module in peft.modules()
        if hasattr(module, "lora_A")
    ]
    parameters = [(name, id(p), p.requires_grad, p.detach().clone()) for name, p in peft.named_parameters()]
    return modules, layers, parameters


def assert_same(before, after):
    assert before[:2] == after[:2]
    for (*mine, tensor), (*theirs, other) in zip(before[2], after[2], strict=True):
        assert mine == theirs and torch.equal(tensor, other)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_adapters_by_their_names(family):
    if family == "gpt2":
        peft = tuned(tiny_model(family), target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    else:
        peft = several()
    cold = ContrastiveLoRA(peft)
    assert list(cold.slots) == list(peft.peft_config)
    for adapter in (None, *cold.slots):
        for beta in (0.0, 0.5):
            assert tokens(cold, adapter, beta) == greedy(peft, adapter, beta), (adapter, beta)


def test_it_is_as_it_was():
    """In every way, while attached as well as after."""
    peft = several()
    peft.set_adapter("two")
    peft.train()
    before, said = state(peft), logits(peft)
    cold = ContrastiveLoRA(peft)
    assert_same(before, state(peft))
    for _ in cold.stream([Request(PROMPT, "default", max_new_tokens=3), Request(PROMPT, max_new_tokens=3)]):
        assert torch.equal(logits(peft), said)
        assert_same(before, state(peft))
    cold.remove()
    assert_same(before, state(peft))
    assert torch.equal(logits(peft), said)


def test_the_active_adapter_does_not_act_in_our_passes():
    peft = several()
    cold = ContrastiveLoRA(peft)
    wanted = [tokens(cold, adapter) for adapter in (None, "default", "two")]
    for active in ("default", "two"):
        peft.set_adapter(active)
        assert [tokens(cold, adapter) for adapter in (None, "default", "two")] == wanted


def test_threads_that_call_the_peft_model():
    peft = several()
    cold, said = ContrastiveLoRA(peft), logits(peft)
    wanted = tokens(cold, "two")
    with ThreadPoolExecutor() as pool:
        calling = pool.submit(lambda: [logits(peft) for _ in range(30)])
        assert all(tokens(cold, "two") == wanted for _ in range(4))
        assert all(torch.equal(each, said) for each in calling.result())


def test_what_is_trained_or_loaded_later_is_not_seen(tmp_path):
    peft = several()
    cold = ContrastiveLoRA(peft)
    wanted = tokens(cold, "default")
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                parameter.add_(1.0)
    peft.add_adapter("three", LoraConfig(target_modules=["up_proj"], init_lora_weights=False))
    peft.set_adapter("three")
    assert tokens(cold, "default") == wanted and "three" not in cold.slots
    folder = save_adapter(tmp_path, tiny_model(), 5, target_modules=["up_proj", "k_proj"])
    cold.add("four", folder)
    assert tokens(cold, "four") == Reference(tiny_model(), folder).greedy(PROMPT, NEW)


def test_a_scaling_that_was_set():
    peft = tuned(tiny_model())
    for module in peft.modules():
        if hasattr(module, "set_scale"):
            module.set_scale("default", 0.5)
    assert tokens(ContrastiveLoRA(peft), "default") == greedy(peft, "default")


def test_merged_adapters():
    peft = several()
    cold = ContrastiveLoRA(peft)
    steps = cold.stream([Request(PROMPT, "two", max_new_tokens=NEW)])
    next(steps)
    peft.merge_adapter(["default"])
    complaint = "model has adapter 'default' merged into .*q_proj; call unmerge_adapter"
    for use in (lambda: next(steps), lambda: tokens(cold, None), lambda: ContrastiveLoRA(peft)):
        with pytest.raises(ValueError, match=complaint):
            use()
    quiet(peft.unmerge_adapter)()
    assert len(tokens(cold, "two")) == NEW
    peft.merge_and_unload()
    with pytest.raises(ValueError, match="merged into"):
        tokens(cold, "two")


def test_it_may_drop_out_in_training_mode_only():
    model = tiny_model(attention_dropout=0.2)
    peft = tuned(model)
    cold = ContrastiveLoRA(peft)
    peft.train()
    with pytest.raises(ValueError, match="in training mode and drops out"):
        tokens(cold, "default")
    peft.eval()
    assert tokens(cold, "default") == greedy(peft, "default")


def test_the_integration_of_transformers(tmp_path):
    model, folder = tiny_model(), save_adapter(tmp_path, tiny_model())
    wanted = Reference(model, folder).greedy(PROMPT, NEW)
    quiet(model.load_adapter)(folder, adapter_name="math")
    cold = ContrastiveLoRA(model)
    assert tokens(cold, "math") == wanted
    assert tokens(cold, None) == Reference(tiny_model()).greedy(PROMPT, NEW)


def test_the_model_under_a_peft_model_and_generate():
    peft = several()
    under = ContrastiveLoRA(peft.base_model.model)
    assert tokens(under, "two") == greedy(peft, "two")
    cold = ContrastiveLoRA(peft)
    ids = torch.tensor([PROMPT])
    options = dict(input_ids=ids, custom_generate=cold_generate, cold=cold, max_new_tokens=NEW, do_sample=False)
    said = peft.generate(**options, adapter="two")
    assert said[0, len(PROMPT) :].tolist() == greedy(peft, "two")
    with pytest.raises(ValueError, match="guidance_scale cannot be honoured with a PeftModel"):
        peft.generate(**options, guidance_scale=1.5)


def test_an_adapter_beside_those_of_the_model(folders, references):
    cold = ContrastiveLoRA(tuned(tiny_model()), {"mlp": folders["mlp"]})
    assert tokens(cold, "mlp") == references["mlp"].greedy(PROMPT, NEW)
    with pytest.raises(ValueError, match="adapter 'default' is in the PeftModel already"):
        ContrastiveLoRA(tuned(tiny_model()), {"default": folders["mlp"]})


REFUSED = {
    "DoRA": (dict(use_dora=True), "has use_dora=True"),
    "biases": (dict(bias="lora_only"), "trains biases"),
    "saved modules": (dict(modules_to_save=["lm_head"]), "has modules_to_save="),
    "tokens": (dict(trainable_token_indices=[1]), "has trainable_token_indices="),
    "parameters": (dict(target_parameters=["up_proj.weight"]), "has target_parameters="),
    "embedding": (dict(target_modules=["embed_tokens", "q_proj"]), "embed_tokens.*no LoRA matrix"),
    "rank": (dict(r=257), r"shape \[257, 32\]; it must be \[rank, 32\]"),
    "PiSSA": (dict(init_lora_weights="pissa"), "changes the base weights"),
}


@pytest.mark.parametrize("options, complaint", REFUSED.values(), ids=REFUSED)
def test_adapters_that_cannot_be_honoured(options, complaint):
    peft = tuned(tiny_model(), **{"target_modules": ["q_proj"], **options})
    before = state(peft)
    with pytest.raises(ValueError, match=f"(?s)^adapter 'default'.*{complaint}"):
        ContrastiveLoRA(peft)
    assert_same(before, state(peft))


@pytest.mark.parametrize("config", [IA3Config, PrefixTuningConfig])
def test_other_kinds_of_tuning(config):
    options = dict(num_virtual_tokens=2) if config is PrefixTuningConfig else {}
    with pytest.raises(ValueError, match="adapter 'default' has peft_type .*; only 'LORA'"):
        ContrastiveLoRA(quiet(get_peft_model)(tiny_model(), config(task_type="CAUSAL_LM", **options)))


def test_a_value_that_is_not_finite():
    peft = tuned(tiny_model())
    with torch.no_grad():
        next(p for name, p in peft.named_parameters() if "lora_B" in name)[0, 0] = math.nan
    with pytest.raises(ValueError, match="adapter 'default': .* holds nan"):
        ContrastiveLoRA(peft)


def test_a_forward_that_leads_back_to_the_layers_of_peft():
    peft = tuned(tiny_model())
    layer = peft.base_model.model.model.layers[0]
    layer.forward = types.MethodType(type(layer).forward, layer)
    with pytest.raises(ValueError, match="another forward in model.layers.0 .compiled, or wrapped"):
        ContrastiveLoRA(peft)


def test_a_compiled_one():
    """What was compiled belongs to the layers of PEFT; our passes run as the modules are written."""
    peft = tuned(tiny_model())
    wanted = greedy(peft, "default")

    def compiled(*args, **kwargs):
        raise AssertionError("leads to the layers of PEFT")

    for module in (peft.base_model.model, peft.base_model.model.model.layers[0]):
        module._compiled_call_impl = compiled
    assert tokens(ContrastiveLoRA(peft), "default") == wanted
