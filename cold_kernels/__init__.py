"""LoRA kernels for Ascend NPUs: batched gather matrix-vector products, tuned with or without a device."""

from .ops import bgmv_shrink

__all__ = ["bgmv_shrink"]
