"""Adapters that cannot be honoured, and files that are broken or hostile: an error that says so, nothing else."""

import math
import shutil
import struct

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA

from .damage import CONFIG, WEIGHTS, Q, climb, config, entry, file, huge, pickle, weights
from .tiny import save_adapter, tiny_model

BAD = {
    "no folder": (shutil.rmtree, "no file .*adapter_config.json"),
    "no config": (lambda folder: (folder / CONFIG).unlink(), "no file .*adapter_config.json"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "no file .*adapter_model.safetensors"),
    "pickle": (pickle, "holds a pickle, adapter_model.bin, which may run code"),
    "truncated": (file(lambda all_: all_[:-5]), "adapter_model.safetensors is broken"),
    "truncated header": (file(lambda all_: all_[:20]), "adapter_model.safetensors is broken"),
    "empty": (file(lambda all_: b""), "adapter_model.safetensors is broken"),
    "garbage": (file(lambda all_: bytes(range(256)) * 4), "adapter_model.safetensors is broken"),
    "header of 10 GB": (file(lambda all_: struct.pack("<Q", 10 << 30) + all_[8:]), "is broken"),
    "tensor of 16 GB": (file(huge), "is broken"),
    "config climbs": (climb(CONFIG), "adapter_config.json leads out of its folder, to .*outside"),
    "weights climb": (climb(WEIGHTS), "adapter_model.safetensors leads out of its folder, to .*outside"),
    "no JSON": (config("{"), "adapter_config.json is not JSON"),
    "no text": (file(lambda all_: b"\xff\xfe" + all_, CONFIG), "adapter_config.json is not JSON"),
    "deep JSON": (config("[" * 100_000), "adapter_config.json is not JSON"),
    "list": (config("[1, 2]"), "peft_type 'list'"),
    "kind": (config(peft_type="IA3"), "peft_type 'IA3'; only 'LORA'"),
    "no kind": (config(peft_type=None), "peft_type None"),
    "no r": (config(r=None), r"has r \[None\]; they must be numbers above 0"),
    "r of 0": (config(r=0), r"has r \[0\]"),
    "r of text": (config(r="4"), r"has r \['4'\]"),
    "another r": (config(r=3), "o_proj has rank 4 in adapter_model.safetensors and 3 in adapter_config.json"),
    "no alpha": (config(lora_alpha=None), r"has lora_alpha \[None\]"),
    "alpha of 0": (config(lora_alpha=0), r"has lora_alpha \[0\]"),
    "alpha of nan": (config(lora_alpha=math.nan), r"has lora_alpha \[nan\]"),
    "alpha of infinity": (config(lora_alpha=math.inf), r"has lora_alpha \[inf\]"),
    "alpha beyond float32": (config(lora_alpha=1e300), "all values must be finite"),
    "ranks in a list": (config(rank_pattern=["q_proj"]), r"rank_pattern=\['q_proj'\]"),
    "rank of 0": (config(rank_pattern={"q_proj": 0}), r"has r \[4, 0\]"),
    "another rank": (config(rank_pattern={"q_proj": 5}), "q_proj has rank 4 in .* and 5 in"),
    "broken pattern": (config(alpha_pattern={"q_proj(": 5}), r"alpha_pattern=.*q_proj\("),
    "unknown key": (config(use_novelty={"on": 1}), "has use_novelty={'on': 1}, which is not supported"),
    "replication": (config(layer_replication=[[0, 2]]), "has layer_replication"),
    "PiSSA": (config(init_lora_weights="pissa_niter_4"), "changes the base weights .*'pissa_niter_4'"),
    "OLoRA": (config(init_lora_weights="OLoRA"), "changes the base weights .*'OLoRA'"),
    "NaN": (entry(math.nan), "q_proj.lora_B.weight holds nan; all values must be finite"),
    "infinity": (entry(-math.inf, Q + "A.weight"), "q_proj.lora_A.weight holds -inf"),
    "integers": (weights(lambda t: t.update({Q + "B.weight": t[Q + "B.weight"].int()})), "is torch.int32; it must be"),
    "shape of A": (weights(lambda t: t.update({Q + "A.weight": torch.ones(4, 31)})), r"\[4, 31\]; .* \[rank, 32\]"),
    "shape of B": (weights(lambda t: t.update({Q + "B.weight": torch.ones(32)})), r"\[32\]; .* \[32, rank\]"),
    "no rank": (weights(lambda t: t.update({Q + "A.weight": torch.ones(0, 32)})), "rank 1 to 256"),
    "ranks differ": (weights(lambda t: t.update({Q + "B.weight": torch.ones(32, 3)})), "no pair of matrices A and B"),
    "A alone": (weights(lambda t: t.pop(Q + "B.weight")), "q_proj has no pair of matrices A and B"),
    "nothing": (weights(dict.clear), "holds no LoRA matrices"),
    "unknown module": (
        weights(lambda t: t.update({"base_model.model.model.layers.7.q_proj.lora_A.weight": torch.ones(4, 32)})),
        "adapts model.layers.7.q_proj, which the model does not have",
    ),
    "unknown tensor": (weights(lambda t: t.update(extra=torch.ones(1))), "holds extra, which is no LoRA matrix"),
}
SAVED = {
    "DoRA": (dict(use_dora=True), "has use_dora=True, which is not supported"),
    "biases": (dict(bias="all"), "trains biases .bias='all'."),
    "LoRA biases": (dict(lora_bias=True), "has lora_bias=True"),
    "saved modules": (dict(modules_to_save=["lm_head"]), r"has modules_to_save=\['lm_head'\]"),
    "embedding": (dict(target_modules=["embed_tokens", "q_proj"]), "embed_tokens.*no LoRA matrix of a linear layer"),
    "tokens": (dict(trainable_token_indices=[1, 2]), "has trainable_token_indices="),
    "rank": (dict(r=257), r"shape \[257, 32\]; it must be \[rank, 32\], rank 1 to 256"),
}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def good(model, tmp_path_factory):
    return save_adapter(tmp_path_factory.mktemp("good"), model, target_modules=["q_proj", "o_proj"])


def hooks_of(model):
    return [list(module._forward_hooks) + list(module._forward_pre_hooks) for module in model.modules()]


def assert_refused(model, folders, complaint):
    before, hooks = {name: tensor.clone() for name, tensor in model.state_dict().items()}, hooks_of(model)
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s)^adapter 'bad'.*{complaint}"):
        ContrastiveLoRA(model, folders)
    assert all(torch.equal(tensor, before.pop(name)) for name, tensor in model.state_dict().items()) and not before
    assert hooks_of(model) == hooks


@pytest.mark.parametrize("damage, complaint", BAD.values(), ids=BAD)
def test_a_bad_adapter(model, good, tmp_path, damage, complaint):
    bad = shutil.copytree(good, tmp_path / "bad")
    damage(bad)
    assert_refused(model, {"good": good, "bad": bad}, complaint)
    assert_refused(model, {"bad": bad, "good": good}, complaint)


@pytest.mark.parametrize("options, complaint", SAVED.values(), ids=SAVED)
def test_a_kind_that_cannot_be_honoured(model, good, tmp_path, options, complaint):
    save_adapter(tmp_path, model, **{"target_modules": ["q_proj"], **options})
    assert_refused(model, {"good": good, "bad": tmp_path}, complaint)


def test_an_adapter_of_a_larger_model(model, tmp_path):
    save_adapter(tmp_path, tiny_model(hidden_size=64))
    assert_refused(model, {"bad": tmp_path}, r"has shape \[.*64.*\]; it must be")


def test_a_trained_head(model, tmp_path):
    save_adapter(tmp_path, model, target_modules=["lm_head"])
    weights(lambda tensors: tensors["base_model.model.lm_head.base_layer.weight"][0].add_(1e-3))(tmp_path)
    assert_refused(model, {"bad": tmp_path}, "lm_head.base_layer.weight, which differs from the model's")
