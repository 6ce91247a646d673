"""The order in which launches take a batch's rows, as an operator."""

import torch

from ..bgmv.rows import order_of
from .checks import INDICES, check_tensor
from .library import operator


def check_row_order(lora_indices_tensor: torch.Tensor) -> torch.Tensor:
    """Raise what `lora_row_order` raises; otherwise a tensor like its result."""
    check_tensor("lora_indices_tensor", lora_indices_tensor, 1, INDICES)
    return lora_indices_tensor.new_empty(lora_indices_tensor.shape[0] + 1, dtype=torch.int32)


@operator(check_row_order)
def lora_row_order(lora_indices_tensor: torch.Tensor) -> torch.Tensor:
    """What `bgmv_shrink_expand` takes as ``row_order``: made once a step, for all its launches, without a
    synchronisation.

    Args:
        lora_indices_tensor: ``[T]``, int32 or int64; below 0 is a base row.

    Returns:
        ``[T + 1]``, int32: how many rows have an adapter, these rows by adapter, then the base rows.

    Raises:
        TypeError, ValueError: no tensor of these types and of one dimension.
    """
    check_row_order(lora_indices_tensor)
    return order_of(lora_indices_tensor)
