"""Zeros for the cube to multiply, where a row has no adapter."""

import functools

import torch

COUNT = 128 * 16
"""As many rows as a tile of x or of A has at most, by the columns that are multiplied at once."""


def zeros_for(x: torch.Tensor) -> torch.Tensor:
    """[2048] zeros of the element type and on the device of ``x``, made once: nothing writes them."""
    return _zeros(x.dtype, x.device)


@functools.cache
def _zeros(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.zeros(COUNT, dtype=dtype, device=device)
