"""LoRA kernels for Ascend NPUs: batched gather matrix-vector products, tuned with or without a device."""

from .lazy import lazy_exports

_HOMES = {
    "bgmv_expand": "ops.lora",
    "bgmv_expand_slice": "ops.lora",
    "bgmv_shrink": "ops.lora",
    "contrastive_argmax": "ops.contrastive",
    "contrastive_score": "ops.contrastive",
    "sgmv_expand": "ops.prefill",
    "sgmv_expand_slice": "ops.prefill",
    "sgmv_shrink": "ops.prefill",
}

# Late, so that a tool that only looks at the installation does not wait for torch.
__getattr__, __all__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
