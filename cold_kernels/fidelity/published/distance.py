"""Norms of the difference of two short vectors on one core: what a launch takes that does next to nothing."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "flagos-ai/FlagGems #6014, benchmark in kernel mode, 910B4-1"


@triton.jit
def distance(x_ptr, y_ptr, out_ptr, size, KIND: tl.constexpr, TILE: tl.constexpr):
    """The norm of ``x - y`` that ``KIND`` names ("sum", "root", "count", "most", "least"), all in one tile."""
    o = tl.arange(0, TILE)
    mask = o < size
    x = tl.load(x_ptr + o, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(y_ptr + o, mask=mask, other=0.0).to(tl.float32)
    d = tl.abs(x - y)
    if KIND == "sum":
        norm = tl.sum(d, axis=0)
    elif KIND == "root":
        norm = tl.sqrt(tl.sum(d * d, axis=0))
    elif KIND == "count":
        norm = tl.sum(tl.where(d != 0, 1.0, 0.0), axis=0)
    elif KIND == "most":
        norm = tl.max(d, axis=0)
    else:
        norm = tl.min(tl.where(mask, d, float("inf")), axis=0)
    tl.store(out_ptr, norm.to(out_ptr.dtype.element_ty))


DISTANCE = PublishedKernel(
    distance,
    {"x_ptr": "*fp16", "y_ptr": "*fp16", "out_ptr": "*fp16", "size": "i32"},
    "norm of a difference; reconstructed, the source is not to be had",
)

MICROSECONDS = {"sum": 1.354, "count": 1.47, "least": 1.499, "most": 1.516}
"""Published for 16 elements of fp16, by norm."""


def _row(kind: str, us: float, size: int = 16) -> PublishedRow:
    return PublishedRow(
        name=f"distance {kind} [{size}]",
        kernel=DISTANCE,
        constants=dict(KIND=kind, TILE=size),
        arguments=partial(untouched, DISTANCE.signature, size, size, 1, size),
        grid=(1,),
        published_us=us,
        clock=Clock.TASK,
        clock_stated=False,
        same_program=False,
        chip="Ascend910B4-1",
        chip_stated=True,
        source=SOURCE,
        explanation="one program with one tile is an assumption; the benchmark averages over the kernels of a call",
    )


ROWS = tuple(_row(kind, us) for kind, us in MICROSECONDS.items())
