"""What the BGMV kernels must compute, in float64, and how far a right kernel may be off."""

import math

import torch

UNIT_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-126


def products(weights: torch.Tensor, x: torch.Tensor, idx: torch.Tensor) -> torch.Tensor:
    """``weights[idx[t]] @ x[t]`` in float64, zero where ``idx[t]`` names no slot: [T, rows of a slot].

    Slot after slot: the weights of every row at once would take gigabytes for a prompt.
    """
    found = torch.zeros((x.shape[0], weights.shape[1]), dtype=torch.float64)
    for slot in idx[(idx >= 0) & (idx < weights.shape[0])].unique().tolist():
        rows = (idx == slot).nonzero()[:, 0]
        found[rows] = x[rows].double() @ weights[slot].double().T
    return found


def shrink(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float = 1.0, **_: object) -> dict:
    """``y[t] = scale * a[idx[t]] @ x[t]``: [T, R] in float64, zero where ``idx[t]`` names no slot."""
    valid = ((idx >= 0) & (idx < a.shape[0]))[:, None]
    return {"y": torch.where(valid, scale * products(a, x, idx), 0.0)}


def shrink_tolerance(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float = 1.0, **_: object) -> dict:
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


def expand(
    b: torch.Tensor, x: torch.Tensor, y_before: torch.Tensor, idx: torch.Tensor, add: bool = True, **_: object
) -> dict:
    """``y[t] (+)= b[idx[t]] @ x[t]``: [T, H] in float64; rows whose index names no slot stay as they were."""
    valid = ((idx >= 0) & (idx < b.shape[0]))[:, None]
    product = products(b, x, idx)
    before = y_before.double()
    return {"y": torch.where(valid, product + before if add else product, before)}


def expand_tolerance(
    b: torch.Tensor, x: torch.Tensor, y_before: torch.Tensor, idx: torch.Tensor, add: bool = True, **_: object
) -> dict:
    """Error of a float32 sum of R products and what was there, as in `shrink_tolerance`, then of one rounding to y.

    Rows without a slot have bound 0: they must not be touched.
    """
    rank = x.shape[1]
    before = y_before.double().abs() if add else torch.zeros_like(y_before, dtype=torch.float64)
    magnitude = expand(b.abs(), x.abs(), before, idx)["y"]
    rounding = torch.finfo(y_before.dtype).eps / 2 if y_before.dtype != torch.float32 else 0.0
    tiny = rank * SMALLEST_NORMAL + torch.finfo(y_before.dtype).smallest_normal * torch.finfo(y_before.dtype).eps
    error = 4 * math.sqrt(rank + 4) * UNIT_ROUNDOFF * magnitude
    size = expand(b, x, y_before, idx, add)["y"].abs()
    valid = ((idx >= 0) & (idx < b.shape[0])).double()[:, None]
    return {"y": valid * (error + rounding * (size + error) + tiny)}


def expand_bytes(
    b: torch.Tensor, x: torch.Tensor, y: torch.Tensor, idx: torch.Tensor, add: bool = True, **_: object
) -> int:
    """Bytes that must move: each used slot of ``b`` once, rows with an adapter of ``x`` and ``y``, indices."""
    valid = (idx >= 0) & (idx < b.shape[0])
    slots = idx[valid].unique().numel()
    row = x.shape[1] * x.element_size() + (2 if add else 1) * y.shape[1] * y.element_size()
    return slots * b[:1].numel() * b.element_size() + int(valid.sum()) * row + idx.numel() * idx.element_size()
