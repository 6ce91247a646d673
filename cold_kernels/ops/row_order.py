"""The order in which launches take a batch's rows, as an operator."""

import torch

from ..bgmv.row_tiles import tiles_of
from ..bgmv.rows import order_of
from .checks import INDICES, check_tensor
from .library import operator


def check_row_order(lora_indices_tensor: torch.Tensor) -> torch.Tensor:
    """Raise what `lora_row_order` raises; otherwise a tensor like its result."""
    check_tensor("lora_indices_tensor", lora_indices_tensor, 1, INDICES)
    return lora_indices_tensor.new_empty((4, lora_indices_tensor.shape[0] + 1), dtype=torch.int32)


@operator(check_row_order)
def lora_row_order(lora_indices_tensor: torch.Tensor) -> torch.Tensor:
    """What `bgmv_shrink_expand` takes as ``row_order``: made once a step, for all its launches, without a
    synchronisation.

    Args:
        lora_indices_tensor: ``[T]``, int32 or int64; below 0 is a base row.

    Returns:
        ``[4, T + 1]``, int32. First how many rows have an adapter, these rows by adapter, then the base rows. Then
        tiles of rows that follow one another and share an adapter: how many there are and their first rows; their
        numbers of rows, and their adapters, each behind a 0. A tile has at most 16 rows, or 64 in batches of 256 and
        more. Columns past T + 1 may follow in a longer buffer that is reused, such as a captured graph's.

    Raises:
        TypeError, ValueError: no tensor of these types and of one dimension.
    """
    check_row_order(lora_indices_tensor)
    order = order_of(lora_indices_tensor)
    return torch.cat((order[None], tiles_of(lora_indices_tensor, order)))
