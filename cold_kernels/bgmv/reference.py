"""What the BGMV kernels must compute, in float64, and how far a right kernel may be off."""

import math

import torch

UNIT_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-126


def gathered(a: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
    """``a[idx]`` in float64 with rows of zeros where ``idx`` is negative or past the last slot: [T, ...]."""
    valid = (idx >= 0) & (idx < a.shape[0])
    if not a.shape[0]:
        return a.new_zeros((idx.shape[0], *a.shape[1:]), dtype=torch.float64)
    rows = a.double()[torch.where(valid, idx, 0).long()]
    return rows * valid.view(-1, *[1] * (a.dim() - 1))


def shrink(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float = 1.0, **_: object) -> dict:
    """``y[t] = scale * a[idx[t]] @ x[t]``: [T, R] in float64, zero where ``idx[t]`` names no slot."""
    return {"y": scale * torch.einsum("trh,th->tr", gathered(a, idx), x.double())}


def shrink_bound(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float = 1.0, **_: object) -> dict:
    """Largest error of a float32 sum of H products: ``4 sqrt(H) u |scale| sum |a| |x|``.

    Rounding errors of a sum behave as independent, so they grow with sqrt(H) and not H (Higham and Mary,
    SIAM J. Sci. Comput. 41, 2019, theorem 3.1, with lambda = 4). Losing one product of a few thousand breaks
    this bound; the bound H u that worst-case analysis gives would let it pass.
    """
    hidden = x.shape[1]
    magnitude = shrink(x.abs(), a.abs(), idx, abs(scale))["y"]
    valid = ((idx >= 0) & (idx < a.shape[0])).double()[:, None]
    return {"y": 4 * math.sqrt(hidden + 4) * UNIT_ROUNDOFF * magnitude + valid * hidden * SMALLEST_NORMAL}


def shrink_bytes(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, y: torch.Tensor, **_: object) -> int:
    """Bytes that must move: each used slot of ``a`` once, each row with an adapter, indices, all of ``y``."""
    valid = (idx >= 0) & (idx < a.shape[0])
    slots = idx[valid].unique().numel()
    per_slot = a[:1].numel() * a.element_size()
    rows = int(valid.sum()) * x.shape[1] * x.element_size()
    return slots * per_slot + rows + idx.numel() * idx.element_size() + y.numel() * y.element_size()
