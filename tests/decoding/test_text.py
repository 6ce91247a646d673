"""Text piece by piece: whole characters, and joined what the tokenizer decodes."""

import json
import random

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from decoding import ContrastiveLoRA, Request
from decoding.loop.decode import Token
from decoding.text import with_text

from .tiny import prompts, save_adapter, tiny_model

LINES = [
    "The quick brown fox don't jump , it 's lazy . 你好，世界！今天天气很好。",
    "Emoji: 😀😃 👩‍👩‍👧 naïve café — straße, Привет мир",
    "  two spaces\n\tand a tab, 한국어 عربى",
] * 3
TRAINING = dict(special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
TEXTS = [*LINES[:3], " leading", "trailing ", "", "😀", "a\n\n b", "x ' s , y n't  z", "日本語のテキスト"]


def byte_level(**options):
    """As of GPT-2, Llama 3 and Qwen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, **TRAINING), options)


def metaspace(**options):
    """As of Llama 2 and Mistral: a space that leads is dropped, and what is not in the vocabulary is bytes."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizer
    learned.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=90, limit_alphabet=50, show_progress=False))
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned.get_vocab()]
    merges = [tuple(pair) for pair in json.loads(learned.to_str())["model"]["merges"]]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>", **options)


def word_piece(**options):
    """As of BERT, whose tokenizers clean spaces up."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    options = {"clean_up_tokenization_spaces": True, **options}
    return trained(tokenizer, trainers.WordPieceTrainer(vocab_size=200, **TRAINING), options)


def trained(tokenizer, trainer, options):
    tokenizer.train_from_iterator(LINES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>", **options)


def with_added():
    """A token that is added and not special, and a special one of its own."""
    tokenizer = byte_level(clean_up_tokenization_spaces=True)
    tokenizer.add_tokens([AddedToken("<tool>", special=False)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|end|>"]})
    return tokenizer


KINDS = {
    "byte level": byte_level,
    "metaspace": metaspace,
    "word piece": word_piece,
    "added": with_added,
    "bytes": ByT5Tokenizer,
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def tokenizer(request):
    return request.param()


def pieces(tokenizer, tokens):
    steps = [Token(0, token) for token in tokens[:-1]] + [Token(0, tokens[-1] if tokens else None, "length")]
    return [step.text for step in with_text(iter(steps), tokenizer)]


def assert_right(tokenizer, tokens):
    told = pieces(tokenizer, tokens)
    assert "".join(told) == tokenizer.decode(tokens, skip_special_tokens=True)
    return told


@pytest.mark.parametrize("text", TEXTS)
def test_texts(tokenizer, text):
    tokens = tokenizer(text).input_ids
    told = assert_right(tokenizer, tokens)
    if "\ufffd" not in tokenizer.decode(tokens):
        assert not any("\ufffd" in piece for piece in told)
    assert_right(tokenizer, [tokenizer.eos_token_id, *tokens, tokenizer.eos_token_id])


def test_any_tokens_at_all(tokenizer):
    """Characters that are never finished, bytes that are none, special tokens within."""
    draw = random.Random(0)
    for _ in range(150):
        assert_right(tokenizer, [draw.randrange(len(tokenizer)) for _ in range(draw.randrange(40))])


def test_spaces_that_later_words_take_away():
    tokenizer, draw = word_piece(), random.Random(0)
    for _ in range(300):
        text = " ".join(draw.choices("' n t s m , . ! x it n't 's don't".split(), k=draw.randrange(1, 12)))
        assert_right(tokenizer, tokenizer(text, add_special_tokens=False).input_ids)


def test_characters_cut_short(tokenizer):
    tokens = tokenizer("你好 😀", add_special_tokens=False).input_ids
    for first in range(len(tokens)):
        for last in range(first + 1, len(tokens) + 1):
            assert_right(tokenizer, tokens[first:last])


def test_nothing_is_held_back_that_is_whole():
    tokenizer = with_added()
    tokens = tokenizer("The quick brown fox , <tool> x", add_special_tokens=False).input_ids
    told = pieces(tokenizer, tokens)
    assert told == [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in tokens] and all(told)


def test_an_emoji_comes_whole():
    tokenizer = byte_level()
    tokens = tokenizer("a😀b", add_special_tokens=False).input_ids
    assert len(tokens) > 3
    assert [piece for piece in pieces(tokenizer, tokens) if piece] == ["a", "😀", "b"]


def test_few_tokens_are_decoded_each_time():
    tokenizer, most = byte_level(), []

    class Counting(PreTrainedTokenizerFast):
        def decode(self, ids, *args, **options):
            most.append(len(ids))
            return super().decode(ids, *args, **options)

    tokens = tokenizer(LINES[0], add_special_tokens=False).input_ids * 20
    assert_right(Counting(tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>"), tokens)
    assert max(sorted(most)[:-2]) < 20 and max(most) == len(tokens)


def test_a_tokenizer_that_decodes_from_right_to_left():
    tokenizer = byte_level()

    class Backwards(PreTrainedTokenizerFast):
        def decode(self, ids, *args, **options):
            return super().decode(ids[::-1], *args, **options)

    backwards = Backwards(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="tokenizer Backwards does not decode from left to right"):
        pieces(backwards, tokenizer("one two three").input_ids)


def test_no_tokenizer(cold):
    with pytest.raises(ValueError, match="tokenizer is a str; it must be a tokenizer of transformers'"):
        cold.stream([Request([1])], tokenizer="gpt2")


def test_a_stream(tmp_path):
    tokenizer = byte_level()
    model = tiny_model(vocab_size=len(tokenizer))
    cold = ContrastiveLoRA(model, {"a": save_adapter(tmp_path, model)})
    requests = [Request(prompt, "a", max_new_tokens=n) for prompt, n in zip(prompts(5, 9, 3, seed=2), (12, 5, 0))]
    steps = list(cold.stream(requests, tokenizer))
    for place, result in enumerate(cold.generate(requests)):
        told = "".join(step.text for step in steps if step.request == place)
        assert told == tokenizer.decode(result.tokens, skip_special_tokens=True)
    assert all(step.text is None for step in cold.stream(requests))
