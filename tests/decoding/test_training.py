"""Training: what PEFT saves, the same from the same seed, and the same after it was killed."""

import copy
import json

import pytest
import torch

pytest.importorskip("peft")
pytest.importorskip("rich")
from safetensors.torch import load_file

from decoding import ContrastiveLoRA, Request
from decoding.__main__ import main
from decoding.training import STATE, Settings, train

EXAMPLES = [(f"{a} {b}", f"{a + b}") for a in range(3, 9) for b in range(20, 24)]
SETTINGS = Settings(steps=12, batch=4, rank=4, learning_rate=0.02, raw=True)


@pytest.fixture
def tokenizer():
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "</s>": 1} | {str(number): number for number in range(2, 199)}
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=whole, eos_token="</s>", unk_token="<unk>")


def trained(llama, tokenizer, folder, settings=SETTINGS, stop=None, **more):
    """The losses; after ``stop`` steps the training is killed."""
    losses = []
    steps = train(copy.deepcopy(llama), tokenizer, EXAMPLES, settings, folder, save_every=5, **more)
    for step, loss in steps:
        losses.append(loss)
        if step == stop:
            steps.close()
            break
    return losses


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_a_killed_training_goes_on_to_the_same_bits(llama, tokenizer, tmp_path):
    whole = trained(llama, tokenizer, tmp_path / "whole")
    assert len(whole) == 12 and whole[-1] < whole[0] / 2
    assert not (tmp_path / "whole" / STATE).exists()
    trained(llama, tokenizer, tmp_path / "killed", stop=8)
    assert not (tmp_path / "killed" / "adapter_config.json").exists()
    rest = trained(llama, tokenizer, tmp_path / "killed")
    assert rest == whole[5:], "from the last saved step on"
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_is_another_adapter(llama, tokenizer, tmp_path):
    trained(llama, tokenizer, tmp_path / "a")
    trained(llama, tokenizer, tmp_path / "b", Settings(**{**vars(SETTINGS), "seed": 1}))
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_what_was_trained_is_decoded(llama, tokenizer, tmp_path):
    trained(llama, tokenizer, tmp_path / "a", Settings(**{**vars(SETTINGS), "steps": 60}))
    cold = ContrastiveLoRA(copy.deepcopy(llama), {"a": tmp_path / "a"})
    requests = [Request(tokenizer(prompt).input_ids, "a", beta=0.0, max_new_tokens=2) for prompt, _ in EXAMPLES]
    told = [result.tokens[0] for result in cold.generate(requests)]
    right = sum(token == int(completion) for token, (_, completion) in zip(told, EXAMPLES))
    assert right > len(EXAMPLES) / 2


def test_targets_alone_are_adapted(llama, tokenizer, tmp_path):
    trained(llama, tokenizer, tmp_path / "a", Settings(steps=1, targets=("q_proj",), raw=True))
    assert all("q_proj" in name for name in weights(tmp_path / "a"))


def test_a_training_under_way_with_other_settings(llama, tokenizer, tmp_path):
    trained(llama, tokenizer, tmp_path, stop=6)
    with pytest.raises(ValueError, match="under way with rank 4, not 2"):
        trained(llama, tokenizer, tmp_path, Settings(**{**vars(SETTINGS), "rank": 2}))
    with pytest.raises(ValueError, match="under way with belongs ''"):
        trained(llama, tokenizer, tmp_path, belongs="other problems")


def test_examples_that_are_too_long(llama, tokenizer, tmp_path):
    with pytest.raises(ValueError, match="an example has 72 tokens, the model's context is 64"):
        next(train(llama, tokenizer, [("2 " * 70, "3")], SETTINGS, tmp_path))


@pytest.mark.parametrize("wrong", [dict(steps=0), dict(rank=0), dict(batch=-1), dict(learning_rate=0)])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=" is "):
        Settings(**wrong)


def test_the_command(llama, tokenizer, tmp_path, capsys):
    llama.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in EXAMPLES]
    (tmp_path / "examples.jsonl").write_text("\n".join(lines))
    given = [
        "train",
        str(tmp_path / "a"),
        "--model",
        str(tmp_path / "model"),
        "--file",
        str(tmp_path / "examples.jsonl"),
    ]
    assert main([*given, "--steps", "2", "--rank", "2"]) == 0
    assert "rank 2, loss" in capsys.readouterr().out
    assert main([*given]) == 2
    assert "holds an adapter already" in capsys.readouterr().err
