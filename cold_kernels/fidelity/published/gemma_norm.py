"""RMS norm of long rows with a weight, a row a program: launches of few microseconds."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "flagos-ai/FlagGems-vllm #762, benchmark in kernel mode"


@triton.jit
def norm_row(x_ptr, w_ptr, y_ptr, stride, width, epsilon, TILE: tl.constexpr):
    """``y = x * rsqrt(mean(x * x) + epsilon) * (1 + w)`` in fp32, a row a program that fits in one tile."""
    row = tl.program_id(0)
    c = tl.arange(0, TILE)
    mask = c < width
    x = tl.load(x_ptr + row * stride + c, mask=mask, other=0.0).to(tl.float32)
    w = tl.load(w_ptr + c, mask=mask, other=0.0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(x * x, axis=0) / width + epsilon)
    tl.store(y_ptr + row * stride + c, (x * factor * (1.0 + w)).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def norm_row_by_parts(x_ptr, w_ptr, y_ptr, stride, width, epsilon, TILE: tl.constexpr):
    """As `norm_row` for rows beyond one tile: they are read twice."""
    row = tl.program_id(0)
    total = 0.0
    for start in range(0, width, TILE):
        c = start + tl.arange(0, TILE)
        x = tl.load(x_ptr + row * stride + c, mask=c < width, other=0.0).to(tl.float32)
        total += tl.sum(x * x, axis=0)
    factor = 1.0 / tl.sqrt(total / width + epsilon)
    for start in range(0, width, TILE):
        c = start + tl.arange(0, TILE)
        x = tl.load(x_ptr + row * stride + c, mask=c < width, other=0.0).to(tl.float32)
        w = tl.load(w_ptr + c, mask=c < width, other=0.0).to(tl.float32)
        tl.store(y_ptr + row * stride + c, (x * factor * (1.0 + w)).to(y_ptr.dtype.element_ty), mask=c < width)


TYPES = {"x_ptr": "*bf16", "w_ptr": "*bf16", "y_ptr": "*bf16", "stride": "i32", "width": "i32", "epsilon": "fp32"}
ROW = PublishedKernel(norm_row, TYPES, "RMS norm of long rows; reconstructed, the source is not to be had")
PARTS = PublishedKernel(norm_row_by_parts, TYPES, "RMS norm of longer rows; reconstructed, the source is not to be had")

TILE = 4096
"""Elements of a row beyond 8192, of which one tile does not fit."""

MICROSECONDS = {
    (1, 1152): 3.062,
    (1, 5376): 3.193,
    (1, 16384): 4.397,
    (32, 1152): 4.267,
    (32, 5376): 5.011,
    (32, 16384): 6.472,
}
"""Published, by rows and columns."""


def _row(rows: int, width: int, us: float) -> PublishedRow:
    whole = width <= 8192
    return PublishedRow(
        name=f"norm row [{rows}, {width}]",
        kernel=ROW if whole else PARTS,
        constants=dict(TILE=triton.next_power_of_2(width) if whole else TILE),
        arguments=partial(untouched, TYPES, rows * width, width, rows * width, width, width, 1e-5),
        grid=(rows,),
        published_us=us,
        clock=Clock.TASK,
        clock_stated=False,
        same_program=False,
        chip="Ascend910B4-1",
        source=SOURCE,
        explanation="of the chip 'Ascend910B' is said; a row a program, and its tiles, are an assumption",
    )


ROWS = tuple(_row(*shape, us) for shape, us in MICROSECONDS.items())
