"""Largest element and where it is: of a row in one tile, of several rows, of a row in several tiles."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, blank, tile_for


@triton.jit
def argmax(x_ptr, index_ptr, value_ptr, N, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    x = tl.load(x_ptr + row * N + o_n, mask=o_n < N, other=float("-inf"))
    value, index = tl.max(x, axis=0, return_indices=True)
    tl.store(index_ptr + row, index)
    tl.store(value_ptr + row, value)


@triton.jit
def argmax_rows(x_ptr, index_ptr, value_ptr, M, N: tl.constexpr, TILE: tl.constexpr):
    o_m, o_n = tl.program_id(0) * TILE + tl.arange(0, TILE), tl.arange(0, N)
    x = tl.load(x_ptr + o_m[:, None] * N + o_n[None, :], mask=(o_m < M)[:, None], other=0.0).to(tl.float32)
    value, index = tl.max(x, axis=1, return_indices=True)
    tl.store(index_ptr + o_m, index.to(index_ptr.dtype.element_ty), mask=o_m < M)
    tl.store(value_ptr + o_m, value.to(value_ptr.dtype.element_ty), mask=o_m < M)


@triton.jit
def argmax_tiles(x_ptr, index_ptr, value_ptr, N, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    best = tl.full([TILE], float("-inf"), tl.float32)
    place = tl.zeros([TILE], tl.int32)
    for start in range(0, N, TILE):
        x = tl.load(x_ptr + row * N + start + o_n, mask=start + o_n < N, other=float("-inf")).to(tl.float32)
        place = tl.where(x > best, start + o_n, place)
        best = tl.maximum(best, x)
    value = tl.max(best, axis=0)
    tl.store(value_ptr + row, value.to(value_ptr.dtype.element_ty))
    tl.store(index_ptr + row, tl.min(tl.where(best == value, place, N), axis=0))


@triton.jit
def argmin(x_ptr, index_ptr, value_ptr, N, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    x = tl.load(x_ptr + row * N + o_n, mask=o_n < N, other=float("inf"))
    tl.store(index_ptr + row, tl.argmin(x, axis=0))
    tl.store(value_ptr + row, tl.min(x, axis=0))


def example(kernel, rows: int, n: int, dtype: torch.dtype, constants: dict, index_type=torch.int32) -> Example:
    """Values of few different sizes: among equals the first counts."""
    x = torch.randint(-40, 40, (rows, n)).to(dtype)
    x[0] = -torch.inf
    x[0, n // 3] = 5
    index, value = blank(rows, dtype=index_type), blank(rows, dtype=dtype)
    by_rows = kernel is argmax_rows
    grid = (-(-rows // constants["TILE"]),) if by_rows else (rows,)
    launch = ExampleLaunch(kernel, [x, index, value, rows if by_rows else n], constants, grid)
    best = x.double() if kernel is not argmin else -x.double()
    return Example([launch], [(index, best.argmax(1), 0.0), (value, x.gather(1, best.argmax(1)[:, None])[:, 0], 0.0)])


EXAMPLES: dict[str, Maker] = {
    **{
        f"argmax-{name}-4x{n}": lambda n=n, dtype=dtype: example(argmax, 4, n, dtype, dict(TILE=tile_for(n)))
        for n in (33, 1000)
        for name, dtype in FLOATS.items()
    },
    "argmin-fp32-3x1000": lambda: example(argmin, 3, 1000, FP32, dict(TILE=1024)),
    "argmax_rows-fp32-37x64": lambda: example(argmax_rows, 37, 64, FP32, dict(N=64, TILE=16)),
    "argmax_rows-fp16-16x256": lambda: example(argmax_rows, 16, 256, FP16, dict(N=256, TILE=16), torch.int64),
    "argmax_tiles-fp32-2x5003": lambda: example(argmax_tiles, 2, 5003, FP32, dict(TILE=1024)),
    "argmax_tiles-bf16-2x32000": lambda: example(argmax_tiles, 2, 32000, BF16, dict(TILE=4096)),
}
