"""Device times that others published for vector kernels, a family a file: the kernels in Triton, and their rows.

`ROWS` are all rows, `LEFT_OUT` says which published times are none, and why. Every kernel is written again from what
the published one does, with its loads, stores, masks, loops, tiles and grid; none of them ships.
"""

from . import ascendc, gating, post_update, rejection, slot_mapping
from .left_out import LEFT_OUT
from .row import Clock, PublishedKernel, PublishedRow, on_cores

__all__ = ["LEFT_OUT", "ROWS", "Clock", "PublishedKernel", "PublishedRow", "on_cores"]

ROWS: tuple[PublishedRow, ...] = (*ascendc.ROWS, *gating.ROWS, *rejection.ROWS, *post_update.ROWS, *slot_mapping.ROWS)
