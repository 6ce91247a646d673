"""Packed passes against a pass of each text alone: any tokens of any rows, windows, rows that leave or go back."""

import contextlib
import random

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding.model import room as rooms
from decoding.model.feed import Feed
from decoding.model.model_pass import ModelPass
from decoding.packed.rows import FAMILIES, PackedRows
from decoding.proof.proof import prove

from .tiny import CONTEXT, VOCABULARY, prompts, tiny_model

LENGTHS = (3, 14, 9, 9, 1, 20)


@contextlib.contextmanager
def bare(slots, shape, logits_to_keep):
    """No adapters act."""
    assert slots is None
    assert shape[0] == 1 and len(logits_to_keep) <= shape[1]
    yield


class Rows:
    """Packed rows beside their texts; every pass is compared."""

    def __init__(self, model):
        self.model, self.rows, self.texts = model, PackedRows(ModelPass(model)), {}

    def open(self, text):
        row = self.rows.open(-1)
        self.texts[row] = list(text)
        return row

    @torch.no_grad()
    def feed(self, tokens):
        """By row; those without are new."""
        for row, more in tokens.items():
            self.texts[row] += more
        feeds = [Feed(row, more or self.texts[row]) for row, more in tokens.items()]
        for row, found in zip(tokens, self.rows.forward(feeds, bare), strict=True):
            wanted = self.model(input_ids=torch.tensor([self.texts[row]]), use_cache=False).logits[0, -1]
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)

    def take_back(self, row):
        self.rows.take_back(row, 1)
        self.texts[row].pop()

    def close(self, row):
        self.rows.close(row)
        del self.texts[row]


@pytest.fixture(params=[64, 4])
def block(request, monkeypatch):
    """Room that is set aside at once; little of it is moved often."""
    monkeypatch.setattr(rooms, "BLOCK", request.param)
    rooms.room.cache_clear()
    yield request.param
    rooms.room.cache_clear()


@pytest.mark.parametrize("family", sorted(FAMILIES & {"llama", "mistral", "gemma3_text", "gpt2", "qwen3", "phi3"}))
def test_any_tokens_of_any_rows(block, family):
    model = tiny_model(family)
    assert prove(model).packs
    draw, rows = random.Random(block), Rows(model)
    rows.feed({rows.open(text): [] for text in prompts(*LENGTHS)})
    for step in range(40):
        fed = {}
        for row, text in rows.texts.items():
            count = 1 if draw.random() < 0.7 else draw.randint(2, 9)
            if draw.random() < 0.8 and len(text) + count < CONTEXT:
                fed[row] = [draw.randrange(VOCABULARY) for _ in range(count)]
        if step in (15, 25):
            fed[rows.open([5, 6, 7])] = []
        if not fed:
            continue
        rows.feed(fed)
        row = draw.choice(list(fed))
        if len(fed[row]) == 1:
            rows.take_back(row)
        if step in (10, 20, 30):
            rows.close(draw.choice(list(rows.texts)))
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("lengths, most", [([40] * 6, 50), ([3, 17, 33, 50], 60)])
def test_room_is_at_most_a_quarter_more_or_a_block_a_row(block, lengths, most):
    model = tiny_model()
    rows, token = Rows(model), 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, size, bytes
    opened = [rows.open(text) for text in prompts(*lengths)]
    rows.feed(dict.fromkeys(opened, []))
    for step in range(most - max(lengths)):
        rows.feed({row: [7] for row in rows.texts})
        if step % 4 == 3 and len(rows.texts) > 1:
            rows.close(next(iter(rows.texts)))
        used = sum(map(len, rows.texts.values()))
        blocks = block * len(rows.texts)
        # What a row has left is given back when a quarter of its shelf stands empty.
        assert rows.rows.held_bytes <= token * (1.25 * used + blocks) / rooms.EMPTY


def test_a_row_of_nan_leaves_nothing_to_who_comes_after():
    rows = Rows(tiny_model())
    *others, last = (rows.open(text) for text in prompts(20, 9, 6, 8, 12))
    rows.feed(dict.fromkeys([*others, last], []))
    (shelves,) = rows.rows._shelves
    place = shelves.places[last]
    for pair in place.shelf._tensors.values():
        for tensor in pair:
            tensor[place.index] = torch.nan
    rows.close(last)
    new = rows.open(prompts(4)[0])
    rows.feed({new: []})
    assert shelves.places[new].index == place.index
    rows.feed({row: [7] for row in (*others, new)})


def test_room():
    for tokens in range(1, 3000, 7):
        assert tokens <= rooms.room(tokens) <= max(1.25 * tokens, tokens + rooms.BLOCK)
    for window in range(1, 3000, 7):
        assert window < rooms.room_of_window(window) + 1 <= 1.07 * window + rooms.BLOCK + 1


def test_an_attention_that_is_not_understood(monkeypatch):
    model = tiny_model()
    attention = type(model.model.layers[0].self_attn)
    forward = attention.forward
    monkeypatch.setattr(attention, "forward", lambda self, **more: forward(self, softcap=3.0, **more))
    rows = PackedRows(ModelPass(model))
    with pytest.raises(RuntimeError, match="attention of layer 0 is given softcap, and cannot be packed"):
        rows.forward([Feed(rows.open(-1), [3, 4])], bare)
    assert model.config._attn_implementation == "sdpa"


def test_a_layer_whose_attention_is_left_out(monkeypatch):
    model = tiny_model()
    monkeypatch.setattr(model.model.layers[1], "forward", lambda hidden_states, **_: hidden_states, raising=False)
    rows = PackedRows(ModelPass(model))
    with pytest.raises(RuntimeError, match="attention of layer 1 has not run; the model cannot be packed"):
        rows.forward([Feed(rows.open(-1), [3, 4])], bare)


@pytest.mark.parametrize("tokens", [8, 15])
def test_a_pass_is_filled_up(llama, tokens):
    shapes = []
    handle = llama.register_forward_pre_hook(
        lambda _, __, kwargs: shapes.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    rows = Rows(llama)
    rows.feed({rows.open(prompts(tokens)[0]): []})
    handle.remove()
    assert shapes[0] == (1, 16)
