"""What shrink and expand in one operator must compute, in float64, and how far a right kernel may be off."""

from collections.abc import Iterator

import torch

from . import reference

DECODING = tuple(
    f"T={rows} L={min(rows, 16)} H={hidden} S={slices} R={rank} D={outputs} M={rows + 1} starts={starts} "
    f"idx={'half' if rows == 64 or (slices == 2 and rows > 1) else 'all'}"
    for rank in (8, 16, 32, 64, 128)
    for hidden, slices, outputs, starts in (
        (4096, 3, 12288, "0/4096/8192"),
        (4096, 3, 6144, "0/4096/5120"),
        (4096, 1, 4096, "0"),
        (4096, 2, 22016, "0/11008"),
        (11008, 1, 4096, "0"),
        (576, 3, 960, "0/576/768"),
    )
    for rows in (1, 4, 16, 64)
    if rows < 64 or (outputs <= 4096 and rank < 128)  # as larger ones choose what 16 rows do, and take minutes to check
)
"""q, k, v; o; gate and up; down of Llama-2-7B, q, k, v of Llama-3-8B and of SmolLM2-135M: for 1, 4 and 16 rows, each
with an adapter of its own, and for 32 requests as CoLD's doubled batch. Gate and up are for 2 and 8 requests as one,
too: their few items gain most by being shared, while those of a full batch are shared less by themselves. Other sizes
take the nearest."""


def slices(starts: torch.Tensor, outputs: int) -> Iterator[tuple[int, slice]]:
    """Number and columns of each slice."""
    edges = [*starts.tolist(), outputs]
    for place, (start, end) in enumerate(zip(edges, edges[1:], strict=False)):
        yield place, slice(start, max(start, end))


def shrink_expand(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    y_before: torch.Tensor,
    idx: torch.Tensor,
    starts: torch.Tensor,
    scale: float = 1.0,
    add: bool = True,
    **_: object,
) -> dict:
    """``y[t, s] (+)= scale * b[idx[t], s] @ (a[idx[t], s] @ x[t])`` for each slice s: [T, D] in float64."""
    y = y_before.double().clone()
    for place, columns in slices(starts, b.shape[1]):
        low = reference.shrink(x, a[:, place], idx, scale)["y"]
        y[:, columns] = reference.expand(b[:, columns], low, y_before[:, columns], idx, add)["y"]
    return {"y": y}


def shrink_expand_tolerance(
    x: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    y_before: torch.Tensor,
    idx: torch.Tensor,
    starts: torch.Tensor,
    scale: float = 1.0,
    add: bool = True,
    **_: object,
) -> dict:
    """Error of the shrink carried through B, and of the expand: `reference.shrink_tolerance` and `expand_tolerance`."""
    bound = torch.zeros_like(y_before, dtype=torch.float64)
    for place, columns in slices(starts, b.shape[1]):
        part, before = b[:, columns], y_before[:, columns]
        low = reference.shrink(x, a[:, place], idx, scale)["y"]
        off = reference.shrink_tolerance(x, a[:, place], idx, scale)["y"]
        carried = reference.expand(part.abs(), off, torch.zeros_like(before), idx, False)["y"]
        rounding = 1 + (torch.finfo(before.dtype).eps if before.dtype != torch.float32 else 0.0)
        bound[:, columns] = reference.expand_tolerance(part, low, before, idx, add)["y"] + carried * rounding
    return {"y": bound}


def shrink_expand_bytes(
    x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, y: torch.Tensor, idx: torch.Tensor, add: bool = True, **_: object
) -> int:
    """Bytes that must move: used slots of ``a`` and ``b`` once, rows with an adapter of ``x`` and ``y``, indices."""
    valid = (idx >= 0) & (idx < b.shape[0])
    slots = idx[valid].unique().numel()
    row = x.shape[1] * x.element_size() + (2 if add else 1) * y.shape[1] * y.element_size()
    weights = sum(part[:1].numel() * part.element_size() for part in (a, b))
    return slots * weights + int(valid.sum()) * row + idx.numel() * idx.element_size()
