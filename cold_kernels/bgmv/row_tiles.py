"""Tiles of rows that follow one another and share an adapter: prepared once a step, read by every launch of it."""

import torch

FEW, MANY = 16, 64
"""Rows of a tile, at most: the cube multiplies 16 at once, and more share one reading of their adapter."""
MANY_FROM = 256
"""Rows of a batch from which tiles have many."""


def most_rows(rows: int) -> int:
    """Rows of a tile, at most, in a batch of so many."""
    return MANY if rows >= MANY_FROM else FEW


def tiles_of(indices: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Of each tile its first row, its number of rows and its slot, behind how many tiles there are: [3, T + 1] int32.

    Tiles are by slot, as rows are in the order. A tile ends where the next row of its slot does not follow, or after
    `most_rows`. Without a synchronisation, so that it can be captured in a graph.

    Args:
        indices: [T] int32 or int64; below 0 is a row without an adapter, which is in no tile.
        order: `order_of` these.
    """
    rows = order[1:].long()
    count, most = len(rows), most_rows(len(rows))
    place = torch.arange(count, device=rows.device)
    slots = indices.index_select(0, rows).clamp(max=torch.iinfo(torch.int32).max)  # past every slot, as before
    begins = torch.ones_like(rows, dtype=torch.bool)
    begins[1:] = (rows[1:] != rows[:-1] + 1) | (slots[1:] != slots[:-1])
    run = begins.cumsum(0) - 1
    first = torch.zeros_like(rows).scatter_add_(0, run, torch.where(begins, place, 0))
    within = place - first.index_select(0, run)
    used = place < order[0]
    starts = (within % most == 0) & used
    tile = torch.where(used, starts.cumsum(0) - 1, count)  # the others go to a last entry, which is dropped
    sizes = torch.zeros(count + 1, dtype=rows.dtype, device=rows.device).scatter_add_(0, tile, torch.ones_like(rows))
    firsts = torch.zeros_like(sizes).scatter_add_(0, tile, torch.where(starts, rows, 0))
    owners = torch.zeros_like(sizes).scatter_add_(0, tile, torch.where(starts, slots.long(), 0))
    heads = torch.stack((starts.sum(), order[0] * 0, order[0] * 0))
    return torch.cat((heads[:, None], torch.stack((firsts, sizes, owners))[:, :count]), dim=1).to(torch.int32)
