"""A quick proof that the tensors of a LoRA operator go together."""

import math
from collections.abc import Callable, Iterable
from itertools import product

import torch

from ..limits import MAX_RANK
from .checks import FLOATS, INDICES


def _fits(types: Iterable[tuple[torch.dtype, ...]], most_out: float, most_in: float) -> Callable[..., bool]:
    """A proof for operators on inputs ``[T, in]``, weights ``[L, out, in]`` and output ``[T, out]``.

    It tells whether the operator's check would pass, for a tenth of its time; False where only the check can tell.
    Tensors are on one device, which registration sees to. To read an attribute of one costs as much as a small
    function, so that each is read once and compared with as few others as will do.

    Args:
        types: Of inputs, weights, output and indices.
        most_out, most_in: Largest sizes.
    """
    types = frozenset(types)

    def fit(
        inputs: torch.Tensor,
        weights: torch.Tensor,
        output: torch.Tensor,
        indices: torch.Tensor,
        columns: tuple[int, int] | None = None,
        rows: int | None = None,
        sequences: int | None = None,
    ) -> bool:
        """``columns``: offset and size in the output, if not all. ``rows``, ``sequences``: if not an index a row."""
        try:
            (indexed,) = indices.shape
            if rows is None:
                rows = indexed
            elif indexed != sequences:
                return False
            _, out, inner = weights.shape
            if columns is None:
                if output.shape != (rows, out):
                    return False
            else:
                (output_rows, width), (offset, size) = output.shape, columns
                if output_rows != rows or size != out or not 0 <= offset <= width - size:
                    return False
            return (
                inputs.shape == (rows, inner)
                and 0 < out <= most_out
                and 0 < inner <= most_in
                and (inputs.dtype, weights.dtype, output.dtype, indices.dtype) in types
            )
        except (ValueError, AttributeError):  # an argument of other dimensions, or None, which the dispatcher lets in
            return False

    return fit


shrink_fits = _fits(((t, t, torch.float32, i) for t, i in product(FLOATS, INDICES)), MAX_RANK, math.inf)
expand_fits = _fits(
    ((x, w, y, i) for w, y, i in product(FLOATS, FLOATS, INDICES) for x in (torch.float32, w)), math.inf, MAX_RANK
)
