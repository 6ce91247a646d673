"""The operators: arguments checked, then the CPU path or a launch of the tuned kernel."""

from .contrastive import contrastive_argmax, contrastive_score
from .lora import bgmv_expand, bgmv_expand_slice, bgmv_shrink
from .prefill import sgmv_expand, sgmv_expand_slice, sgmv_shrink

__all__ = [
    "bgmv_expand",
    "bgmv_expand_slice",
    "bgmv_shrink",
    "contrastive_argmax",
    "contrastive_score",
    "sgmv_expand",
    "sgmv_expand_slice",
    "sgmv_shrink",
]
