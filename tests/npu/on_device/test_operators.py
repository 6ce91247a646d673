"""This project's own operators and its decode loop, on the simulated device."""

import pytest
import torch

import cold_kernels as ck


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
