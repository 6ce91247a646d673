"""Adapters as they are met: in a cache, written by older or newer PEFT, in other types, with more files beside."""

import json
import shutil

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from safetensors.torch import load_file, save_file

from decoding import ContrastiveLoRA, Request

from .tiny import Reference, prompts, save_adapter

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
(PROMPT,) = prompts(6, seed=4)
REQUEST = Request(PROMPT, "expert", max_new_tokens=6)


def tokens(model, folder):
    cold = ContrastiveLoRA(model, {"expert": folder})
    found = cold.generate([REQUEST])[0].tokens
    cold.remove()
    return found


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of an adapter's folder."""
    return shutil.copytree(folders["patterned"], tmp_path / "adapter")


@pytest.fixture(scope="module")
def wanted(references):
    return references["patterned"].greedy(PROMPT, 6)


@pytest.mark.parametrize("inner", ["", "math/final"])
def test_cache_of_hugging_face(llama, folder, tmp_path, wanted, inner):
    snapshot = tmp_path / "models--someone--adapter" / "snapshots" / "0123abc"
    (snapshot / inner).mkdir(parents=True)
    (tmp_path / "models--someone--adapter" / "blobs").mkdir()
    for i, name in enumerate((CONFIG, WEIGHTS)):
        shutil.copy(folder / name, tmp_path / "models--someone--adapter" / "blobs" / str(i))
        (snapshot / inner / name).symlink_to("../" * (2 + len(inner.split("/")) * bool(inner)) + f"blobs/{i}")
    assert tokens(llama, snapshot / inner) == wanted
    (snapshot / inner / WEIGHTS).unlink()
    (snapshot / inner / WEIGHTS).symlink_to(folder / WEIGHTS)
    with pytest.raises(ValueError, match="leads out of its folder"):
        tokens(llama, snapshot / inner)


def test_links_to_and_within_the_folder(llama, folder, tmp_path, wanted):
    (folder / WEIGHTS).rename(folder / "step-100.safetensors")
    (folder / WEIGHTS).symlink_to("step-100.safetensors")
    (tmp_path / "link").symlink_to(folder)
    assert tokens(llama, tmp_path / "link") == tokens(llama, str(tmp_path / "link")) == wanted


def test_other_files_beside(llama, folder, wanted):
    (folder / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    (folder / "README.md").write_text("# A card")
    assert tokens(llama, folder) == wanted


def test_older_and_newer_versions_of_peft(llama, folder, wanted):
    config = json.loads((folder / CONFIG).read_text())
    needed = ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern")
    (folder / CONFIG).write_text(json.dumps({name: config[name] for name in needed}))
    assert tokens(llama, folder) == wanted
    (folder / CONFIG).write_text(json.dumps({**config, "use_novelty": False, "novelty_config": None, "novel": {}}))
    assert tokens(llama, folder) == wanted


TRAINED = [dict(init_lora_weights="gaussian"), dict(lora_alpha=0.5), dict(lora_dropout=0.1)]


@pytest.mark.parametrize("options", TRAINED, ids=str)
def test_options_of_training(llama, tmp_path, options):
    folder = save_adapter(tmp_path, llama, **options)
    assert tokens(llama, folder) == Reference(llama, folder).greedy(PROMPT, 6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types(llama, folder, dtype):
    save_file({name: t.to(dtype) for name, t in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    assert tokens(llama, folder) == Reference(llama, folder).greedy(PROMPT, 6)


def test_ranks_that_do_not_fit_one_operator(llama, tmp_path):
    """Layers that share an input are shrunk together up to rank 256."""
    folder = save_adapter(tmp_path, llama, r=100, lora_alpha=30, target_modules=["q_proj", "k_proj", "v_proj"])
    assert tokens(llama, folder) == Reference(llama, folder).greedy(PROMPT, 6)


def test_what_peft_saves_beside_the_matrices_of_a_head(llama, folders):
    held = load_file(folders["head"] / WEIGHTS)
    assert "base_model.model.lm_head.base_layer.weight" in held
    assert torch.equal(held["base_model.model.lm_head.base_layer.weight"], llama.lm_head.weight)


def test_a_copied_embedding(llama, folder, wanted):
    embedding = {"base_model.model.model.embed_tokens.weight": llama.model.embed_tokens.weight.detach()}
    save_file({**load_file(folder / WEIGHTS), **embedding}, folder / WEIGHTS)
    assert tokens(llama, folder) == wanted
