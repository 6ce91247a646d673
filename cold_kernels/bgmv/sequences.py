"""Rows of sequences, which follow one another and share an adapter: vLLM's prefill metadata, out of rows' indices."""

import torch


def lengths_of(indices: torch.Tensor) -> torch.Tensor:
    """Lengths of the runs of equal indices: [sequences] int32."""
    return torch.unique_consecutive(indices, return_counts=True)[1].to(torch.int32)


def slots_of(indices: torch.Tensor) -> torch.Tensor:
    """The index of each run of equal ones: [sequences]."""
    return torch.unique_consecutive(indices)
