"""`torch.autocast("npu")`: which operators compute in which type, as torch does for its other devices."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _pytree as pytree

LOWER = """
    __rmatmul__ addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d conv_tbc conv_transpose1d
    conv_transpose2d.input conv_transpose3d.input convolution einsum linalg_multi_dot linalg_vecdot linear matmul mm mv
    prelu scaled_dot_product_attention
"""
FLOAT32 = """
    acos asin binary_cross_entropy_with_logits cdist cosh cosine_embedding_loss cosine_similarity cross_entropy_loss
    cumprod cumsum dist erfinv exp expm1 group_norm hinge_embedding_loss huber_loss kl_div l1_loss layer_norm log log10
    log1p log2 log_softmax.int logsumexp margin_ranking_loss mse_loss multilabel_margin_loss nll_loss nll_loss2d
    norm.Scalar pow.Scalar pow.Tensor_Scalar pow.Tensor_Tensor prod reciprocal renorm rsqrt sinh smooth_l1_loss
    soft_margin_loss softmax.int softplus sum tan triplet_margin_loss
"""
"""Operators that autocast to the lower type and to float32 (torch's page "CUDA Ops that can autocast")."""
_KEY = torch._C.DispatchKey.AutocastPrivateUse1


def register() -> list[torch.library.Library]:
    """Make the device's autocast known to torch; the registrations end when what comes back is collected."""
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for names, wanted in ((LOWER, lambda: torch.get_autocast_dtype("npu")), (FLOAT32, lambda: torch.float32)):
        for name in names.split():
            packet, _, overload = name.partition(".")
            op = getattr(getattr(torch.ops.aten, packet, None), overload or "default", None)
            if op is not None:
                aten.impl(name, _casting(op, wanted), "AutocastPrivateUse1")
    return [rest, aten]


def _casting(op: Any, wanted: Callable[[], torch.dtype]) -> Callable:
    def run(*args: Any, **kwargs: Any) -> Any:
        dtype = wanted()

        def cast(value: Any) -> Any:
            if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != torch.float64:
                return value.to(dtype)
            return value

        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(_KEY)):
            args, kwargs = pytree.tree_map(cast, (args, kwargs))
            return op(*args, **kwargs)

    return run
