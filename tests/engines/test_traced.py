"""The LoRA wrapper in a compiled graph: taken whole, for any batch, with rows that a graph has added as padding."""

from types import SimpleNamespace

import pytest
import torch
from vllm.lora.layers import BaseLayerWithLoRA, LoRAMapping

from cold_kernels.integrations.vllm import plugin

pytestmark = pytest.mark.engine
SLOTS, RANK, HIDDEN, WIDTHS = 3, 8, 32, (32, 16, 16)
ROOM = 24


@pytest.fixture
def wrapper():
    plugin.install()
    from cold_kernels.integrations.vllm.wrapper import wrapper_for_platform

    config = SimpleNamespace(max_lora_rank=RANK)
    return wrapper_for_platform(ROOM, max_batches=8, device=torch.device("cpu"), lora_config=config)


@pytest.fixture
def layer(wrapper):
    torch.manual_seed(0)
    layer = BaseLayerWithLoRA()
    layer.output_slices = WIDTHS
    layer.lora_a_stacked = tuple(torch.randn(SLOTS, 1, RANK, HIDDEN) for _ in WIDTHS)
    layer.lora_b_stacked = tuple(torch.randn(SLOTS, 1, width, RANK) for width in WIDTHS)
    layer.set_mapping(wrapper)
    return layer


def expected(layer, x, y, slots):
    y = y.double()
    for row, slot in enumerate(slots):
        if slot is not None:
            both = zip(layer.lora_a_stacked, layer.lora_b_stacked, strict=True)
            y[row] += torch.cat([b[slot, 0].double() @ (a[slot, 0].double() @ x[row].double()) for a, b in both])
    return y


def step(wrapper, ids):
    """A batch of rows with these adapters, which are in the slots before their numbers; 0 is a base row."""
    wrapper.update_metadata(LoRAMapping(tuple(ids), tuple(ids), is_prefill=True), [1, 2, 3], SLOTS + 1, 100)


def test_batches_of_any_size_and_padding(wrapper, layer):
    @torch.compile(fullgraph=True, backend="aot_eager", dynamic=True)
    def add(y, x):
        wrapper.add_lora_linear(y, x, layer.lora_a_stacked, layer.lora_b_stacked, 1.0, layer.output_slices)
        return y * 1

    for ids, padded in ([(1, 0, 3, 1), 4], [(0, 0), 2], [(2, 2, 2), 8], [(3, 0, 1, 2, 2, 0, 0, 3, 1), 16]):
        step(wrapper, ids)
        x, y = torch.randn(padded, HIDDEN), torch.randn(padded, sum(WIDTHS))
        wanted = expected(layer, x, y, [each - 1 if each else None for each in ids])
        found = add(y.clone(), x)
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-4)
        assert torch.equal(found[len(ids) :], y[len(ids) :])


def test_what_is_loaded_later_is_seen(wrapper, layer):
    step(wrapper, (1, 2))
    layer.lora_a_stacked[1][0] = 0.0
    layer.lora_b_stacked[2][1] = 0.5
    x, y = torch.randn(2, HIDDEN), torch.zeros(2, sum(WIDTHS))
    wanted = expected(layer, x, y, (0, 1))
    wrapper.add_lora_linear(y, x, layer.lora_a_stacked, layer.lora_b_stacked, 1.0, layer.output_slices)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-4)
    assert not y[0, 32:48].any()
