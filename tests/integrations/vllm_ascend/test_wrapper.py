"""vLLM's plugin before the LoRA wrapper of vllm-ascend 0.23, by stand-ins: no NPU, and neither engine, is run."""

import sys
from types import SimpleNamespace

import pytest
import torch

from . import standin
from .standin import DeviceType, install, mapping

HIDDEN, RANK, TOKENS = 24, 8, 8
IDS = [3, 0, 9, 3]  # adapters by their numbers; 3 has slot 1, 9 has slot 0
SLOTS = [1, None, 0, 1]


@pytest.fixture
def make(monkeypatch):
    """A wrapper as vLLM's manager makes it, and a layer given to it."""

    def made(widths=(16, 8, 8), rank=RANK, **options):
        platform, layer_class = install(monkeypatch, **options)
        from cold_kernels.integrations.vllm.plugin import install as plugin

        plugin()
        plugin()
        config = SimpleNamespace(max_lora_rank=rank)
        name = platform.get_punica_wrapper()
        factory = sys.modules["vllm.utils.import_utils"].resolve_obj_by_qualname(name)
        wrapper = factory(TOKENS, max_batches=4, device=torch.device("cpu"), lora_config=config)
        layer = layer_class(2, rank, HIDDEN, widths)
        layer.set_mapping(wrapper)
        for slot in range(2):
            layer.load(slot)
        return wrapper, layer

    return made


def step(wrapper, ids=IDS, samples=None):
    wrapper.update_metadata(mapping(ids, samples), [9, 3], 3, 100)


def close(mine, wanted):
    torch.testing.assert_close(mine.double(), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rank", [8, 128, 136])
def test_layers_of_one_call(make, rank):
    wrapper, layer = make(rank=rank)
    assert isinstance(wrapper, standin.Wrapper) and type(wrapper) is not standin.Wrapper
    step(wrapper)
    x, base = torch.randn(4, HIDDEN), torch.randn(4, 32)
    y = base.clone()
    wrapper.add_lora_linear(y, x, layer.lora_a_stacked, layer.lora_b_stacked, 1.0, layer.output_slices)
    close(y, base.double() + layer.added(x, SLOTS))
    assert torch.equal(y[1], base[1])


@pytest.mark.parametrize("ranks_of_devices", [1, 2])
def test_merged_layers_shrink_gather_and_expand(make, ranks_of_devices):
    """vLLM 0.23 and 0.24 do so with gate and up; of two devices each has all of A, so the gathered half is double."""
    wrapper, layer = make(widths=(12, 12))
    step(wrapper)
    x, base = torch.randn(4, HIDDEN), torch.randn(4, 24)
    buffers, y = torch.zeros(2, 4, RANK), base.clone()
    wrapper.add_shrink(buffers, x, layer.lora_a_stacked, 1.0)
    gathered = torch.cat([buffers] * ranks_of_devices, -1)
    wrapper.add_expand(y, gathered, layer.lora_b_stacked, layer.output_slices, offset_start=0, add_input=True)
    close(y, base.double() + layer.added(x, SLOTS))


def test_rows_that_a_graph_adds_are_base_rows(make):
    wrapper, layer = make()
    step(wrapper, [3] * TOKENS)
    step(wrapper)
    x, base = torch.randn(TOKENS, HIDDEN), torch.randn(TOKENS, 32)
    y = base.clone()
    wrapper.add_lora_linear(y, x, layer.lora_a_stacked, layer.lora_b_stacked, 1.0, layer.output_slices)
    close(y, base.double() + layer.added(x, SLOTS + [None] * 4))
    assert torch.equal(y[4:], base[4:])


def test_embedding_and_head(make):
    wrapper, layer = make(widths=(20,))
    step(wrapper, samples=[0, 9])
    (a,), (b,) = layer.lora_a_stacked, layer.lora_b_stacked
    x, base = torch.randn(2, HIDDEN), torch.randn(2, 20)
    y = base.clone()
    wrapper.add_lora_logits(y, x, a, b, 1.0)
    close(y, base.double() + layer.added(x, [None, 0]))
    low, base = torch.randn(4, RANK), torch.randn(4, 20)
    y = base.clone()
    wrapper.add_lora_embedding(y, low, b, add_input=True)
    products = [b[slot or 0, 0].double() @ row * (slot is not None) for slot, row in zip(SLOTS, low.double())]
    close(y, base.double() + torch.stack(products))


@pytest.mark.parametrize("rank", [8, 128])
def test_experts_keep_vllm_ascends_way_and_their_base_rows(make, rank):
    """From rank 128 on vllm-ascend takes operators that give base rows the last slot's weights."""
    experts = 3
    wrapper, layer = make(widths=(10,), rank=rank)
    step(wrapper)
    a, b = torch.randn(2, experts, rank, HIDDEN), torch.randn(2, experts, 10, rank)
    x, base, chosen = torch.randn(4, HIDDEN), torch.randn(4, 10), torch.tensor([2, 0, 1, 1])
    y = base.clone()
    rows = dict(expert_ids=chosen, adapter_enabled=torch.ones(3), token_lora_mapping=wrapper.token_lora_indices)
    wrapper.add_lora_fused_moe(y, x, (a,), (b,), **rows)
    wanted = base.double()
    for row, (slot, expert) in enumerate(zip(SLOTS, chosen)):
        if slot is not None:
            wanted[row] += b[slot, expert].double() @ (a[slot, expert].double() @ x[row].double())
    torch.testing.assert_close(y.double(), wanted, rtol=1e-4, atol=1e-3)


def test_310p_keeps_vllm_ascends_own(make):
    with pytest.warns(UserWarning, match="310P"):
        wrapper, _ = make(device=DeviceType._310P)
    assert type(wrapper) is standin.Wrapper


def test_what_the_reader_of_adapters_does_not_know_is_refused(make):
    make()
    reader = sys.modules["vllm.lora.peft_helper"].PEFTHelper
    assert reader.from_dict(dict(r=4, alpha_pattern={})).r == 4
    with pytest.raises(ValueError, match="alpha_pattern of the adapter is {'q_proj': 2}, which vLLM .* does not know"):
        reader.from_dict(dict(r=4, alpha_pattern={"q_proj": 2}))
