"""SiLU of whole rows without masks: launches of few microseconds, on one core to all."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "XPU-Forces/mojo_opset #365, after, Ascend 910C"


@triton.jit
def silu_rows(x_ptr, y_ptr, stride, rows, columns, WIDTH: tl.constexpr, TILE: tl.constexpr):
    """``y = x * sigmoid(x)`` in fp32, ``TILE`` whole rows of ``WIDTH`` columns at a time, dealt in turn."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    tiles = (rows + TILE - 1) // TILE
    c = tl.arange(0, WIDTH)
    for tile in range(program, tiles, programs):
        r = tile * TILE + tl.arange(0, TILE)
        x = tl.load(x_ptr + r[:, None] * stride + c[None, :])
        wide = x.to(tl.float32)
        y = wide * tl.sigmoid(wide)
        tl.store(y_ptr + r[:, None] * stride + c[None, :], y.to(x.dtype))


SILU = PublishedKernel(
    silu_rows,
    {"x_ptr": "*fp32", "y_ptr": "*fp32", "stride": "i32", "rows": "i32", "columns": "i32"},
    "SiLU of whole rows; ttx/kernels/npu/silu.py of 7089a005bb, the kernel without masks",
)

CORES = 48
MICROSECONDS = {
    (16, 16): (16, 1.436),
    (32, 64): (16, 1.28),
    (128, 128): (16, 1.884),
    (512, 256): (16, 2.656),
    (1024, 1024): (8, 5.28),
    (2048, 512): (16, 5.288),
}
"""By rows and columns: rows a tile, assumed, and the published time."""


def _row(rows: int, columns: int, tile: int, us: float) -> PublishedRow:
    size = rows * columns
    return PublishedRow(
        name=f"silu [{rows}, {columns}]",
        kernel=SILU,
        constants=dict(WIDTH=columns, TILE=tile),
        arguments=partial(untouched, SILU.signature, size, size, columns, rows, columns),
        grid=(min(CORES, rows // tile),),
        published_us=us,
        clock=Clock.TASK,
        clock_stated=False,
        chip="Ascend910_9392",
        chip_stated=True,
        source=SOURCE,
        data="fp32; neither the type is stated nor the rows a tile, which were tuned from 1 to 16",
        explanation="rows a tile are assumed",
        same_program=False,
    )


ROWS = tuple(_row(*shape, *figures) for shape, figures in MICROSECONDS.items())
