"""The cache of padded rows against transformers' own: the same keys and values, in less memory, when rows leave too."""

import pytest
import torch

pytest.importorskip("transformers")
from transformers import DynamicCache

from decoding.model import room as rooms
from decoding.model.growing_cache import GrowingCache

from .tiny import tiny_model

ROWS, HEADS, SIZE = 5, 2, 4


@pytest.fixture(params=[64, 4], autouse=True)
def block(request, monkeypatch):
    monkeypatch.setattr(rooms, "BLOCK", request.param)
    rooms.room.cache_clear()
    yield request.param
    rooms.room.cache_clear()


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma3_text"])
@pytest.mark.parametrize("first", [3, 40])
def test_as_transformers_own(family, first):
    """Windows are of 6 tokens."""
    config = tiny_model(family).config
    ours, theirs, order = GrowingCache(config), DynamicCache(config=config), list(range(ROWS))
    generator = torch.Generator().manual_seed(first)
    for step in range(30):
        if step in (8, 9, 20):
            left = [place for place in range(len(order)) if place != (1 if step == 9 else 0)]
            kept = ours.keep(left)
            assert sorted(kept) == left
            theirs.batch_select_indices(torch.tensor(kept))
            order = [order[place] for place in kept]
        count = first if step == 0 else 3 if step == 15 else 1
        for layer in range(config.num_hidden_layers):
            new = torch.randn(2, len(order), HEADS, count, SIZE, generator=generator)
            for mine, wanted in zip(ours.update(*new, layer), theirs.update(*new, layer), strict=True):
                assert torch.equal(mine, wanted)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == theirs.get_mask_sizes(1, 0)


def test_tokens_are_written_in_place(block):
    config = tiny_model().config
    cache, moved, before = GrowingCache(config), 0, None
    for _ in range(400):
        keys, _ = cache.update(*torch.randn(2, ROWS, HEADS, 1, SIZE), 0)
        moved += keys.data_ptr() != before
        before = keys.data_ptr()
        used = keys.nbytes
        assert keys.untyped_storage().nbytes() <= max(1.25 * used, used + keys[:, :, :1].nbytes * block)
    assert moved <= (12 if block == 64 else 40)
