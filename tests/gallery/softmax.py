"""Softmax: a row in one tile, and a row in several with a running maximum."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored, tile_for


@triton.jit
def softmax(x_ptr, y_ptr, N, stride_x, stride_y, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    mask = o_n < N
    x = tl.load(x_ptr + row * stride_x + o_n, mask=mask, other=float("-inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * stride_y + o_n, (e / tl.sum(e, axis=0)).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def softmax_online(x_ptr, y_ptr, N, stride_x, stride_y, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    largest, total = float("-inf"), 0.0
    for start in range(0, N, TILE):
        x = tl.load(x_ptr + row * stride_x + start + o_n, mask=start + o_n < N, other=float("-inf")).to(tl.float32)
        now = tl.maximum(largest, tl.max(x, axis=0))
        total = total * tl.exp(largest - now) + tl.sum(tl.exp(x - now), axis=0)
        largest = now
    for start in range(0, N, TILE):
        mask = start + o_n < N
        x = tl.load(x_ptr + row * stride_x + start + o_n, mask=mask, other=float("-inf")).to(tl.float32)
        y = tl.exp(x - largest) / total
        tl.store(y_ptr + row * stride_y + start + o_n, y.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def softmax_rows(x_ptr, y_ptr, M, N, TILE_M: tl.constexpr, TILE_N: tl.constexpr):
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)[:, None]
    o_n = tl.arange(0, TILE_N)[None, :]
    mask = (o_m < M) & (o_n < N)
    x = tl.load(x_ptr + o_m * N + o_n, mask=mask, other=float("-inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=1)[:, None])
    y = e / tl.sum(e, axis=1)[:, None]
    tl.store(y_ptr + o_m * N + o_n, y.to(y_ptr.dtype.element_ty), mask=mask)


def example(kernel, rows: int, n: int, dtype: torch.dtype, constants: dict, grid: tuple[int, ...]) -> Example:
    wide = (3 * torch.randn(rows, n + 3)).to(dtype)
    rows_kernel = "TILE_M" in constants
    x, y = (wide[:, :n].contiguous() if rows_kernel else wide[:, :n]), blank(rows, n, dtype=dtype)
    x[0, n // 2] = -torch.inf
    reference = x.double().softmax(1)
    finite = x.double().masked_fill(x.isinf(), 0)
    spread = finite.amax(1, keepdim=True) - finite.amin(1, keepdim=True)
    # x - max is off by u of itself, so is its exponential, and each sum of them; a rescaling for every tile at most
    steps = 2 * spread + n + 4 * (n // constants.get("TILE", n) + 1)
    bound = steps * U * reference + stored(reference, dtype)
    args = [x, y, rows, n] if rows_kernel else [x, y, n, x.stride(0), y.stride(0)]
    return Example([ExampleLaunch(kernel, args, constants, grid)], [(y, reference, bound)])


EXAMPLES: dict[str, Maker] = {
    **{
        f"softmax-{name}-4x{n}": lambda n=n, dtype=dtype: example(softmax, 4, n, dtype, dict(TILE=tile_for(n)), (4,))
        for n in (17, 1000, 4096)
        for name, dtype in FLOATS.items()
    },
    "softmax_online-fp32-3x1000": lambda: example(softmax_online, 3, 1000, FP32, dict(TILE=256), (3,)),
    "softmax_online-fp16-2x5003": lambda: example(softmax_online, 2, 5003, FP16, dict(TILE=1024), (2,)),
    "softmax_rows-fp32-37x50": lambda: example(softmax_rows, 37, 50, FP32, dict(TILE_M=16, TILE_N=64), (3,)),
    "softmax_rows-bf16-16x128": lambda: example(softmax_rows, 16, 128, BF16, dict(TILE_M=16, TILE_N=128), (1,)),
}
