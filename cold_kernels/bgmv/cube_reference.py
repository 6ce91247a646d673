"""How far the kernels of the cube cores may be off, and what they are tuned for; they compute what the others do."""

import torch

from . import reference
from .shrink_expand_reference import shrink_expand, shrink_expand_bytes, slices
from .shrink_expand_reference import shrink_expand_tolerance as vector_tolerance

__all__ = [
    "EXPAND_TARGETS",
    "SHRINK_TARGETS",
    "TARGETS",
    "expand_tolerance",
    "shrink",
    "shrink_expand",
    "shrink_expand_bytes",
    "shrink_expand_tolerance",
    "shrink_tolerance",
]

TARGETS = tuple(
    f"T={rows} L={slots} H={hidden} S={slices} R={rank} D={outputs} N={rows + 1} starts={starts} idx={idx}"
    for rank in (64, 128)
    for hidden, slices, outputs, starts in (
        (4096, 3, 12288, "0/4096/8192"),
        (4096, 1, 4096, "0"),
        (4096, 2, 22016, "0/11008"),
        (11008, 1, 4096, "0"),
    )
    for rows, slots, idx in ((1, 1, "all"), (4, 4, "all"), (16, 16, "all"), (64, 1, "all"), (512, 1, "all"))
)
"""The projections that `bgmv_shrink_expand` is tuned for: 1 to 16 rows with adapters of their own, 64 that share one,
and a prompt."""


def _alone(ranks: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[str, ...]:
    """1 to 64 rows with adapters of their own, prompts of 256 and 2048 tokens that have one."""
    return tuple(
        f"T={rows} L={1 if runs else rows} H={size} R={rank} N={runs} idx=all"
        for rank in ranks
        for size in sizes
        for rows, runs in ((1, 0), (4, 0), (16, 0), (64, 0), (256, 1), (2048, 1))
    )


SHRINK_TARGETS = _alone((8, 16, 32, 64, 128, 256), (4096, 11008))
EXPAND_TARGETS = tuple(f"T={rows} L={rows} H=4096 R={rank} N=0 idx=all" for rank in (128, 256) for rows in (1, 16))
"""The ranks at which it may be the faster one."""


def shrink(x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float, scaled: bool, **_: object) -> dict:
    """`reference.shrink`, which multiplies by ``scale`` only where the kernel is told to."""
    return reference.shrink(x, a, idx, scale if scaled else 1.0)


def shrink_tolerance(
    x: torch.Tensor, a: torch.Tensor, idx: torch.Tensor, scale: float, scaled: bool, **_: object
) -> dict:
    """That of the vector cores: both sum in float32."""
    return reference.shrink_tolerance(x, a, idx, scale if scaled else 1.0)


def expand_tolerance(
    b: torch.Tensor, x: torch.Tensor, y_before: torch.Tensor, idx: torch.Tensor, add: bool = True, **_: object
) -> dict:
    """As of the vector cores, and what rounding x to the weights' type adds, carried through B."""
    bound = reference.expand_tolerance(b, x, y_before, idx, add)["y"]
    info = torch.finfo(b.dtype)
    rounded = torch.zeros_like(x, dtype=torch.float64)
    if x.dtype != b.dtype:
        rounded = x.double().abs() * (info.eps / 2) + info.smallest_normal * info.eps / 2
    nothing = torch.zeros_like(y_before)
    return {"y": bound + reference.expand(b.abs(), rounded, nothing, idx, False)["y"] * (1 + info.eps)}


def shrink_expand_tolerance(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    y_before: torch.Tensor,
    idx: torch.Tensor,
    starts: torch.Tensor,
    scale: float = 1.0,
    add: bool = True,
    **others: object,
) -> dict:
    """As of the vector cores, and what rounding between the products to the weights' type adds, carried through B."""
    bound = vector_tolerance(x, a, b, y_before, idx, starts, scale, add, **others)["y"]
    for place, columns in slices(starts, b.shape[1]):
        low = reference.shrink(x, a[:, place], idx, scale)["y"]
        low_off = reference.shrink_tolerance(x, a[:, place], idx, scale)["y"]
        part = b[:, columns].abs()
        info = torch.finfo(b.dtype)
        rounded = (low.abs() + low_off) * (info.eps / 2) + info.smallest_normal * info.eps / 2
        nothing = torch.zeros_like(y_before[:, columns])
        bound[:, columns] += reference.expand(part, rounded, nothing, idx, False)["y"] * (1 + info.eps)
    return {"y": bound}
