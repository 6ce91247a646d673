"""Device times that others published for vector kernels, a family a file: the kernels in Triton, and their rows.

`ROWS` are all rows, `LEFT_OUT` says which published times are none, and why. Every kernel is written again from what
the published one does, with its loads, stores, masks, loops, tiles and grid; none of them ships.
"""

from . import (
    ascendc,
    distance,
    drafting,
    gating,
    gemma_norm,
    post_update,
    rejection,
    rms_norm,
    slot_mapping,
    swiglu_step,
)
from .left_out import LEFT_OUT
from .row import Clock, PublishedKernel, PublishedRow, on_cores

__all__ = ["LEFT_OUT", "ROWS", "Clock", "PublishedKernel", "PublishedRow", "on_cores"]

FAMILIES = (
    ascendc,
    gating,
    rejection,
    post_update,
    slot_mapping,
    drafting,
    rms_norm,
    gemma_norm,
    distance,
    swiglu_step,
)
ROWS: tuple[PublishedRow, ...] = tuple(row for family in FAMILIES for row in family.ROWS)
