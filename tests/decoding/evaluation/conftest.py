"""A tiny model on disk with a tokenizer whose words are numbers, adapters for it, and problems with answers."""

import json
import random

import pytest


@pytest.fixture(scope="session")
def tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "</s>": 1} | {str(number): number for number in range(2, 199)}
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=whole, eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="session")
def model_folder(llama, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def problem_file(tmp_path_factory):
    """24 prompts of unequal lengths whose answer is one word."""
    draw, path = random.Random(0), tmp_path_factory.mktemp("problems") / "problems.jsonl"
    lines = []
    for _ in range(24):
        prompt = " ".join(str(draw.randrange(2, 199)) for _ in range(draw.randint(3, 9)))
        lines.append(json.dumps({"prompt": prompt, "answer": str(draw.randrange(2, 199))}))
    path.write_text("\n".join(lines) + "\n")
    return path
