"""How far the kernel of the cube cores may be off, and what it is tuned for; its reference is `shrink_expand`'s."""

import torch

from . import reference
from .shrink_expand_reference import shrink_expand, shrink_expand_bytes, slices
from .shrink_expand_reference import shrink_expand_tolerance as vector_tolerance

__all__ = ["TARGETS", "shrink_expand", "shrink_expand_bytes", "shrink_expand_tolerance"]

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
