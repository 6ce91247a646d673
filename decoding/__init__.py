"""Contrastive LoRA decoding over stock Hugging Face models and PEFT adapters: base weights held once, one pass a step."""

from cold_kernels.lazy import lazy_exports

_HOMES = {
    "ContrastiveLoRA": "contrastive_lora",
    "Request": "request",
    "Result": "request",
    "cold_generate": "hugging_face",
}

__getattr__, __all__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
