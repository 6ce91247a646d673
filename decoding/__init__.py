"""Contrastive LoRA decoding of stock Hugging Face models with PEFT adapters: weights held once, one pass a step."""

from cold_kernels.lazy import lazy_exports

_HOMES = {
    "ContrastiveLoRA": "contrastive_lora",
    "Request": "requests.request",
    "Result": "requests.request",
    "cold_generate": "hugging_face",
}

__getattr__, __all__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
