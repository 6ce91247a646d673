"""LoRA kernels for Ascend NPUs: batched gather matrix-vector products, tuned with or without a device."""

from .lazy import lazy_exports

# Late, so that a tool that only looks at the installation does not wait for torch.
__getattr__, __all__ = lazy_exports(__name__, {"bgmv_shrink": "ops.lora"})


def __dir__() -> list[str]:
    return __all__
