"""RMS norm with a weight, tiles of several whole rows on all cores, rows read twice."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "XPU-Forces/mojo_opset #363, before, Ascend 910B"


@triton.jit
def norm_weighted(
    x_ptr, y_ptr, w_ptr, x_stride, y_stride, rows, columns, epsilon, TILE_M: tl.constexpr, TILE_N: tl.constexpr
):
    """``y = x * rsqrt(mean(x * x) + epsilon) * w`` in fp32; tiles of ``TILE_M`` rows are dealt over the programs."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    tiles = (rows + TILE_M - 1) // TILE_M
    for tile in range(program, tiles, programs):
        r = tile * TILE_M + tl.arange(0, TILE_M)
        there = r < rows
        total = tl.zeros((TILE_M,), dtype=tl.float32)
        for start in range(0, columns, TILE_N):
            c = start + tl.arange(0, TILE_N)
            inside = c < columns
            x = tl.load(x_ptr + (r[:, None] * x_stride + c[None, :]), mask=there[:, None] & inside[None, :], other=0.0)
            x = x.to(tl.float32)
            total += tl.sum(x * x, axis=1)
        total = tl.where(there, total, 0)
        factor = tl.rsqrt(total / columns + epsilon)
        factor = tl.where(there, factor, 0.0)
        for start in range(0, columns, TILE_N):
            c = start + tl.arange(0, TILE_N)
            inside = c < columns
            mask = there[:, None] & inside[None, :]
            x = tl.load(x_ptr + (r[:, None] * x_stride + c[None, :]), mask=mask, other=0.0).to(tl.float32)
            w = tl.load(w_ptr + c, mask=inside, other=0.0).to(tl.float32)
            y = x * factor[:, None] * w[None, :]
            tl.store(y_ptr + (r[:, None] * y_stride + c[None, :]), y.to(y_ptr.dtype.element_ty), mask=mask)


WEIGHTED = PublishedKernel(
    norm_weighted,
    dict.fromkeys(("x_ptr", "y_ptr", "w_ptr"), "*fp32")
    | dict.fromkeys(("x_stride", "y_stride", "rows", "columns"), "i32")
    | {"epsilon": "fp32"},
    "RMS norm with a weight; _rmsnorm_infer_kernel in ttx/kernels/npu/rmsnorm.py of 054d8d62b8",
)

TILES = {4096: 6, 2048: 8, 256: 24, 128: 48}
"""Rows a tile by columns, as the source has them."""

MICROSECONDS = {
    (8, 128): 4.1424,
    (128, 256): 5.3104,
    (128, 2048): 5.944,
    (16, 4096): 6.6352,
    (2048, 2048): 25.936,
    (2048, 4096): 38.6848,
}
"""Published, by rows and columns."""

CORES = 40


def _row(rows: int, columns: int, us: float) -> PublishedRow:
    size = rows * columns
    return PublishedRow(
        name=f"norm weighted [{rows}, {columns}]",
        kernel=WEIGHTED,
        constants=dict(TILE_M=TILES[columns], TILE_N=min(columns, 2048)),
        arguments=partial(untouched, WEIGHTED.signature, size, size, columns, columns, columns, rows, columns, 1e-6),
        grid=(CORES,),
        published_us=us,
        clock=Clock.TASK,
        clock_stated=False,
        chip="Ascend910B4-1",
        source=SOURCE,
        data="fp32, as stated",
        explanation="the columns of a tile were tuned and are not published; of the chip '910B' is said",
        same_program=False,
    )


ROWS = tuple(_row(*shape, us) for shape, us in MICROSECONDS.items())
