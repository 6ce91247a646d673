"""This project's own operators and its decode loop, on the simulated device."""

from collections import Counter

import pytest
import torch

import cold_kernels as ck
from cold_kernels.npu import session
from cold_kernels.ops import lora_on_cube_from


def both(run, *tensors, **tolerance):
    torch.testing.assert_close([x.cpu() for x in run(*(x.npu() for x in tensors))], run(*tensors), **tolerance)


def test_lora():
    def run(x, a, b, indices):
        low = torch.zeros(len(x), a.shape[1], device=x.device)
        out = torch.zeros(len(x), b.shape[1], dtype=x.dtype, device=x.device)
        ck.bgmv_shrink(x, a, low, indices, 1.0)
        ck.bgmv_expand(low, b, out, indices)
        return [low, out]

    torch.manual_seed(0)
    x, a, b = (torch.randn(shape, dtype=torch.float16) for shape in ((4, 576), (2, 8, 576), (2, 576, 8)))
    both(run, x, a, b, torch.tensor([0, 1, -1, 0]), rtol=2e-3, atol=2e-3)


def launches():
    return Counter({name: kernel.launches for (name, _), kernel in session.current().kernels.items()})


def lora(x, a, b, indices, order=True):
    y = torch.ones(len(x), b.shape[1], dtype=x.dtype, device=x.device)
    rows = ck.lora_row_order(indices) if order else None
    ck.bgmv_shrink_expand(x, a, b, y, indices, torch.tensor([0, 40], device=x.device), 0.5, True, rows)
    return y


def operands(rank):
    torch.manual_seed(0)
    a, b, x = torch.randn(3, 2, rank, 256) / 8, torch.randn(3, 100, rank) / 8, torch.randn(40, 256)
    indices = torch.tensor([1] * 20 + [-1, 0, 2, 2, 0, -1] + [2] * 14)
    return *(tensor.half() for tensor in (x, a, b)), indices


@pytest.mark.parametrize("order", (True, False))
def test_lora_on_the_cores_that_tables_choose(order):
    for rank, kernel in ((64, "_shrink_expand_tiles"), (16, "_shrink_expand")):
        given = operands(rank)
        before = launches()
        found = lora(*(tensor.npu() for tensor in given), order)
        assert launches() - before == {kernel: 1}
        torch.testing.assert_close(found.cpu(), lora(*given), rtol=4e-3, atol=4e-3)


def test_rows_have_the_same_bits_with_and_without_neighbours():
    x, a, b, indices = (tensor.npu() for tensor in operands(64))
    together = lora(x, a, b, indices)
    assert torch.equal(together, lora(x, a, b, indices, order=False))
    assert torch.equal(together[7:8], lora(x[7:8], a, b, indices[7:8]))


def test_the_cube_by_the_number_of_rows_if_asked_to():
    given = [tensor.npu() for tensor in operands(16)]
    lora_on_cube_from(40)
    try:
        before = launches()
        found = lora(*given)
        lora(*(tensor[:39] if len(tensor) == 40 else tensor for tensor in given))
    finally:
        lora_on_cube_from(None)
    assert launches() - before == {"_shrink_expand_tiles": 1, "_shrink_expand": 1}
    torch.testing.assert_close(found, lora(*given), rtol=4e-3, atol=4e-3)
    with pytest.raises(ValueError, match="rows is 0; it must be an integer from 1, or None"):
        lora_on_cube_from(0)


def test_contrast():
    torch.manual_seed(0)
    expert, amateur = torch.randn(3, 8000), torch.randn(3, 8000)
    both(lambda e, a: [ck.contrastive_argmax(e, a, alpha=0.1, beta=0.5)], expert, amateur)


def test_decoding():
    transformers, peft = pytest.importorskip("transformers"), pytest.importorskip("peft")
    from decoding import ContrastiveLoRA, Request

    torch.manual_seed(0)
    sizes = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    config = transformers.LlamaConfig(vocab_size=256, num_key_value_heads=4, max_position_embeddings=128, **sizes)
    model = peft.get_peft_model(
        transformers.LlamaForCausalLM(config).eval(),
        peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    request = dict(input_ids=[5, 6, 7, 8], adapter="default", alpha=0.1, beta=0.5, max_new_tokens=6)

    def tokens():
        cold = ContrastiveLoRA(model)
        try:
            (result,) = cold.generate([Request(**request)])
        finally:
            cold.remove()
        return result.tokens

    wanted = tokens()
    model.npu()
    assert tokens() == wanted
