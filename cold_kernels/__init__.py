"""LoRA kernels for Ascend NPUs: batched gather matrix-vector products, tuned with or without a device.

Importing the package also registers the operators as ``torch.ops.cold_kernels.*``. With ``COLD_KERNELS_LAZY=1`` that,
and the import of torch, wait until an operator is asked for: for tools that only look at the installation.
"""

import os
from importlib.util import find_spec

from .lazy import lazy_exports

_OPERATORS = (
    "bgmv_expand",
    "bgmv_expand_slice",
    "bgmv_shrink",
    "bgmv_shrink_expand",
    "contrastive_argmax",
    "contrastive_sample",
    "contrastive_score",
    "lora_row_order",
    "sgmv_expand",
    "sgmv_expand_slice",
    "sgmv_shrink",
)

__getattr__, __all__ = lazy_exports(__name__, {**dict.fromkeys(_OPERATORS, "ops"), "tuned": "tuned_kernel"})

if os.environ.get("COLD_KERNELS_LAZY") != "1" and find_spec("torch"):
    from . import ops  # noqa: F401


def __dir__() -> list[str]:
    return __all__
