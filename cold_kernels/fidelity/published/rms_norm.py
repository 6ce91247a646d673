"""RMS norm of short rows, a tile of several rows at a time: sums of rows, and rows times a number of their own."""

from functools import partial

import triton
import triton.language as tl

from .row import Clock, PublishedKernel, PublishedRow
from .tensors import untouched

SOURCE = "vllm-project/vllm-ascend 76d338a722 (#11211), profiler's average time"


@triton.jit
def norm_rows(x_ptr, stride, y_ptr, epsilon, rows, WIDTH: tl.constexpr, TILE: tl.constexpr):
    """``y = x * rsqrt(mean(x * x) + epsilon)`` row by row of x [rows, WIDTH], in x's type, sums in fp32.

    Each program takes a contiguous part of the rows, ``TILE`` at a time; its last tile reaches into the next part.
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    each = tl.cdiv(rows, programs)
    first = program * each
    last = tl.minimum(first + each, rows)
    c = tl.arange(0, WIDTH)
    for start in tl.range(first, last, TILE):
        r = start + tl.arange(0, TILE)
        there = r < rows
        mask = there[:, None]
        at = r[:, None] * stride + c[None, :]
        x = tl.load(x_ptr + at, mask=mask)
        square = tl.sum(x * x, axis=-1) / WIDTH
        y = x * tl.rsqrt(square[:, None] + epsilon)
        tl.store(y_ptr + at, y, mask=mask)


@triton.jit
def norm_fixed_rows(x_ptr, stride, y_ptr, epsilon, ROWS: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr):
    """As `norm_rows` for a number of rows that the compiler knows."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    each = tl.cdiv(ROWS, programs)
    first = program * each
    last = tl.minimum(first + each, ROWS)
    c = tl.arange(0, WIDTH)
    for start in tl.range(first, last, TILE):
        r = start + tl.arange(0, TILE)
        there = r < ROWS
        mask = there[:, None]
        at = r[:, None] * stride + c[None, :]
        x = tl.load(x_ptr + at, mask=mask)
        square = tl.sum(x * x, axis=-1) / WIDTH
        y = x * tl.rsqrt(square[:, None] + epsilon)
        tl.store(y_ptr + at, y, mask=mask)


TYPES = {"x_ptr": "*bf16", "stride": "i32", "y_ptr": "*bf16", "epsilon": "fp32"}
ROWS_GIVEN = PublishedKernel(
    norm_rows, TYPES | {"rows": "i32"}, "RMS norm of rows; triton_rms_kernel of 76d338a722, rows at run time"
)
ROWS_FIXED = PublishedKernel(
    norm_fixed_rows, TYPES, "RMS norm of rows; triton_rms_kernel before 76d338a722, rows at compile time"
)

WIDTH, CORES = 512, 48
"""Cores are not stated."""

MICROSECONDS = {
    81984: (141.42, 148.26),
    896: (11.64, 12.75),
    704: (11.0, 12.56),
    512: (9.45, 10.68),
    320: (10.45, 10.19),
    224: (10.4, 10.22),
    128: (7.0, 7.13),
}
"""Published, by rows: with the number of rows at compile time, and at run time."""

DATA = "bf16, as the model has it; the source gives shapes alone"


def tile(rows: int) -> int:
    """Rows a tile that the source chooses, no power of two."""
    return min(16, triton.cdiv(rows, CORES))


def _rows(rows: int, fixed_us: float, given_us: float) -> tuple[PublishedRow, PublishedRow]:
    size, about = rows * WIDTH, dict(cold=True, grid=(CORES,), clock=Clock.TASK, source=SOURCE, data=DATA)
    constants = dict(WIDTH=WIDTH, TILE=tile(rows))
    fixed = PublishedRow(
        name=f"norm fixed rows [{rows}, 512]",
        kernel=ROWS_FIXED,
        constants=constants | dict(ROWS=rows),
        arguments=partial(untouched, ROWS_FIXED.signature, size, WIDTH, size, 1e-6),
        published_us=fixed_us,
        **about,
    )
    given = PublishedRow(
        name=f"norm rows [{rows}, 512]",
        kernel=ROWS_GIVEN,
        constants=constants,
        arguments=partial(untouched, ROWS_GIVEN.signature, size, WIDTH, size, 1e-6, rows),
        published_us=given_us,
        **about,
    )
    return fixed, given


ROWS = tuple(row for rows, us in MICROSECONDS.items() for row in _rows(rows, *us))
