"""A quick proof that the tensors of a LoRA operator go together."""

import math
from itertools import product
from typing import NamedTuple

import torch

from ..limits import MAX_RANK
from .checks import FLOATS, INDICES


class Form(NamedTuple):
    """What an operator on inputs ``[T, in]``, weights ``[L, out, in]`` and output ``[T, out]`` takes.

    Args:
        types: Of inputs, weights, output and indices.
        most_out, most_in: Largest sizes.
    """

    types: frozenset[tuple[torch.dtype, ...]]
    most_out: float
    most_in: float


SHRINK = Form(frozenset((t, t, torch.float32, i) for t, i in product(FLOATS, INDICES)), MAX_RANK, math.inf)
EXPAND = Form(
    frozenset((x, w, y, i) for w, y, i in product(FLOATS, FLOATS, INDICES) for x in (torch.float32, w)),
    math.inf,
    MAX_RANK,
)


def fit(
    form: Form,
    inputs: torch.Tensor,
    weights: torch.Tensor,
    output: torch.Tensor,
    indices: torch.Tensor,
    sequences: int | None = None,
    columns: tuple[int, int] | None = None,
) -> bool:
    """Whether the operator's check would pass, for an eighth of its time; False where only the check can tell.

    Args:
        sequences: How many indices there are, if not one for each row.
        columns: Offset and size of the output's columns that the operator writes, if not all.
    """
    try:
        rows, wide = inputs.shape
        _, out, inner = weights.shape
        output_rows, narrow = output.shape
        (indexed,) = indices.shape
    except (ValueError, AttributeError):
        return False
    if columns is not None:
        offset, size = columns
        if not 0 <= offset <= narrow - size:
            return False
        narrow = size
    device = inputs.get_device()
    return (
        wide == inner
        and narrow == out
        and rows == output_rows
        and indexed == (rows if sequences is None else sequences)
        and 0 < out <= form.most_out
        and 0 < inner <= form.most_in
        and (inputs.dtype, weights.dtype, output.dtype, indices.dtype) in form.types
        and device == weights.get_device() == output.get_device() == indices.get_device()
    )
