"""Device times that others published, a family of kernels a file: the kernels in Triton, and their rows.

`ROWS` are all rows, `LEFT_OUT` says which published times are none, and why. Every kernel is written again from what
the published one does, with its loads, stores, masks, loops, tiles and grid; none of them ships.
"""

from . import (
    ascendc,
    distance,
    drafting,
    gating,
    gemma_norm,
    matmul,
    post_update,
    rejection,
    rms_norm,
    silu,
    slot_mapping,
    swiglu_step,
    weighted_norm,
)
from .left_out import LEFT_OUT
from .row import Clock, PublishedKernel, PublishedRow

__all__ = ["LEFT_OUT", "ROWS", "Clock", "PublishedKernel", "PublishedRow"]

FAMILIES = (
    ascendc,
    gating,
    rejection,
    post_update,
    slot_mapping,
    drafting,
    rms_norm,
    gemma_norm,
    weighted_norm,
    distance,
    silu,
    swiglu_step,
    matmul,
)
ROWS: tuple[PublishedRow, ...] = tuple(row for family in FAMILIES for row in family.ROWS)
