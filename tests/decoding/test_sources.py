"""Adapters from elsewhere than a folder: the hub's cache, the hub, tensors in memory; copies in other precisions."""

import shutil

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
import huggingface_hub
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from decoding import ContrastiveLoRA, Request

from .damage import CONFIG, WEIGHTS, weights
from .tiny import Reference, prompts, save_adapter, tiny_model, tuned

(PROMPT,) = prompts(6, seed=4)
HEAD = "base_model.model.lm_head.base_layer.weight"
EMBEDDING = "base_model.model.model.embed_tokens.weight"


def tokens(model, source):
    cold = ContrastiveLoRA(model, {"expert": source})
    found = cold.generate([Request(PROMPT, "expert", max_new_tokens=6)])[0].tokens
    cold.remove()
    return found


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the hub's that is empty; whoever asks the hub itself finds no network."""
    asked = []

    def offline(*args, **kwargs):
        asked.append(args)
        raise OSError("no route to host,\nnor any other way")

    download = huggingface_hub.snapshot_download

    def cached_only(repo_id, allow_patterns, local_files_only=False):
        return (download if local_files_only else offline)(
            repo_id, allow_patterns=allow_patterns, local_files_only=local_files_only, cache_dir=tmp_path / "hub"
        )

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached_only)
    return tmp_path / "hub", asked


def cached(home, folder, names=(CONFIG, WEIGHTS)):
    """The folder's files as the hub's cache keeps them, under someone/math."""
    repository = home / "models--someone--math"
    for part in ("blobs", "refs", "snapshots/0123abc"):
        (repository / part).mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    for name in names:
        shutil.copy(folder / name, repository / "blobs" / name)
        (repository / "snapshots" / "0123abc" / name).symlink_to(f"../../blobs/{name}")


def test_the_cache_of_the_hub(llama, folders, references, cache):
    cached(cache[0], folders["patterned"])
    assert tokens(llama, "someone/math") == references["patterned"].greedy(PROMPT, 6)
    assert not cache[1]


@pytest.mark.parametrize("names", [None, (CONFIG,)])
def test_what_the_cache_has_not_is_asked_of_the_hub(llama, folders, cache, names):
    if names:
        cached(cache[0], folders["patterned"], names)
    complaint = "^adapter 'expert': no folder someone/math, nothing whole .* and no download: no route to host, nor"
    with pytest.raises(FileNotFoundError, match=complaint) as raised:
        tokens(llama, "someone/math")
    assert len(cache[1]) == 1 and "\n" not in str(raised.value)


def test_what_the_hub_has_is_downloaded(llama, folders, references, monkeypatch):
    def download(repo_id, allow_patterns, local_files_only=False):
        if local_files_only:
            raise FileNotFoundError
        assert (repo_id, set(allow_patterns)) == ("someone/math", {CONFIG, WEIGHTS})
        return str(folders["patterned"])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert tokens(llama, "someone/math") == references["patterned"].greedy(PROMPT, 6)


def test_a_folder_comes_before_a_name_on_the_hub(llama, folders, references, cache, tmp_path, monkeypatch):
    shutil.copytree(folders["mlp"], tmp_path / "someone" / "math")
    monkeypatch.chdir(tmp_path)
    assert tokens(llama, "someone/math") == references["mlp"].greedy(PROMPT, 6) and not cache[1]
    with pytest.raises(FileNotFoundError, match="no file .*nowhere"):
        tokens(llama, str(tmp_path / "nowhere"))
    assert not cache[1]


@pytest.mark.parametrize(
    "options", [{}, dict(use_rslora=True, rank_pattern={"q_proj": 7}, alpha_pattern={"o_proj": 3})]
)
def test_a_state_dict(llama, tmp_path, options):
    peft = tuned(llama, **options)
    peft.save_pretrained(tmp_path)
    wanted = Reference(llama, tmp_path).greedy(PROMPT, 6)
    state, config = get_peft_model_state_dict(peft), peft.peft_config["default"]
    assert tokens(llama, (config, state)) == tokens(llama, (config.to_dict(), state)) == wanted
    bare = {name.removeprefix("base_model.model."): tensor for name, tensor in state.items()}
    assert tokens(llama, (config, bare)) == wanted


def test_a_state_dict_is_copied(llama):
    peft = tuned(llama)
    state = get_peft_model_state_dict(peft)
    cold = ContrastiveLoRA(llama, {"a": (peft.peft_config["default"], state)})
    request = Request(PROMPT, "a", max_new_tokens=6)
    wanted = cold.generate([request])
    with torch.no_grad():
        for tensor in state.values():
            tensor.zero_()
    cold.add("base", (LoraConfig(r=4, target_modules=["q_proj"]), get_peft_model_state_dict(tuned(llama, r=4))))
    assert cold.generate([request]) == wanted
    cold.remove()


MEMORY = {
    "a number": (3, "is a int; give a folder, a name on the hub, or"),
    "a list of tensors": ((LoraConfig(), [torch.ones(1)]), "has tensors in a list"),
    "a list in place of a tensor": ((LoraConfig(), {"x": [1]}), "x is list; it must be a tensor"),
    "no values": ((LoraConfig(), {"x": torch.ones(1, device="meta")}), "x is on the meta device"),
    "no configuration": ((None, {}), "has peft_type 'NoneType'"),
    "nothing": ((LoraConfig(), {}), "its tensors holds no LoRA matrices"),
    "another rank": (
        (LoraConfig(r=3), {"model.layers.0.mlp.up_proj.lora_" + m: torch.ones(s) for m, s in
                           (("A.weight", (2, 32)), ("B.weight", (48, 2)))}),
        "has rank 2 in its tensors and 3 in adapter_config.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("source, complaint", MEMORY.values(), ids=MEMORY)
def test_what_is_wrong_in_memory(llama, source, complaint):
    with pytest.raises(ValueError, match=f"^adapter 'expert'.*{complaint}"):
        ContrastiveLoRA(llama, {"expert": source})


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("which", ["file", "model", "both"])
def test_a_copied_head_in_another_precision(tmp_path, narrow, which):
    """A narrow file beside the float32 model, a float32 file beside a narrow model, two that are narrow otherwise."""
    model = tiny_model()
    folder = save_adapter(tmp_path, model, target_modules=["lm_head", "q_proj"])
    tensors = load_file(folder / WEIGHTS) | {EMBEDDING: model.model.embed_tokens.weight.detach()}
    if which != "model":
        other = narrow if which == "file" else torch.float16 if narrow == torch.bfloat16 else torch.bfloat16
        tensors |= {key: tensors[key].to(other) for key in (HEAD, EMBEDDING)}
    save_file(tensors, folder / WEIGHTS)
    if which != "file":
        model.to(narrow)
    assert len(tokens(model, folder)) == 6
    trained = tensors[HEAD].clone()
    trained[3, 5] += 0.05
    save_file(tensors | {HEAD: trained}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="lm_head.base_layer.weight, which differs from the model's: it was trained"):
        tokens(model, folder)


def test_a_vocabulary_that_was_resized(tmp_path):
    model = tiny_model()
    folder = save_adapter(tmp_path, model, target_modules=["q_proj"])
    weights(lambda tensors: tensors.update({EMBEDDING: torch.ones(203, 32)}))(folder)
    with pytest.raises(ValueError, match=r"embed_tokens.weight of shape \[203, 32\] .* resized for another vocabulary"):
        tokens(model, folder)
