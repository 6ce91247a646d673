"""Which rows of a batch have an adapter: prepared once a step, read by every launch of it."""

from collections.abc import Mapping
from typing import Any

import torch


def order_of(indices: torch.Tensor) -> torch.Tensor:
    """How many rows have a slot, then these rows by slot, then the others: [T + 1] int32, without a synchronisation."""
    without = indices < 0
    rows = torch.argsort(torch.where(without, torch.iinfo(indices.dtype).max, indices), stable=True)
    count = indices.shape[0] - without.sum()
    return torch.cat((count[None], rows)).to(torch.int32)


def row_order(args: Mapping[str, Any], size: list[int]) -> torch.Tensor:
    """What a harness passes for the order of ``args["idx"]``: all of it, or nothing where ``size`` says 0."""
    order = order_of(args["idx"]) if size[0] else torch.empty(0, dtype=torch.int32)
    if size[0] != order.shape[0]:
        raise ValueError(f"M={size[0]}; it must be 0, or one more than the {args['idx'].shape[0]} rows")
    return order
