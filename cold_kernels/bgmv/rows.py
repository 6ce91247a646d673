"""Which rows of a batch have an adapter: prepared once a step, read by every launch of it."""

import torch


def order_of(indices: torch.Tensor) -> torch.Tensor:
    """How many rows have a slot, then these rows by slot, then the others: [T + 1] int32, without a synchronisation."""
    without = indices < 0
    rows = torch.argsort(torch.where(without, torch.iinfo(indices.dtype).max, indices), stable=True)
    count = indices.shape[0] - without.sum()
    return torch.cat((count[None], rows)).to(torch.int32)
