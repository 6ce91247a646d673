"""Vector add, and SwiGLU."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, TILE: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    mask = o_n < n
    tl.store(z_ptr + o_n, tl.load(x_ptr + o_n, mask=mask) + tl.load(y_ptr + o_n, mask=mask), mask=mask)


@triton.jit
def add_in_a_loop(x_ptr, y_ptr, z_ptr, n, TILE: tl.constexpr):
    for tile in range(tl.program_id(0), tl.cdiv(n, TILE), tl.num_programs(0)):
        o_n = tile.to(tl.int64) * TILE + tl.arange(0, TILE)
        mask = o_n < n
        tl.store(z_ptr + o_n, tl.load(x_ptr + o_n, mask=mask) + tl.load(y_ptr + o_n, mask=mask), mask=mask)


@triton.jit
def add_rows(x_ptr, y_ptr, z_ptr, M, N, stride_x, stride_z, TILE_M: tl.constexpr, TILE_N: tl.constexpr):
    m, n = tl.program_id(0) * TILE_M, tl.program_id(1) * TILE_N
    x = tl.make_block_ptr(x_ptr, (M, N), (stride_x, 1), (m, n), (TILE_M, TILE_N), (1, 0))
    z = tl.make_block_ptr(z_ptr, (M, N), (stride_z, 1), (m, n), (TILE_M, TILE_N), (1, 0))
    o_n = n + tl.arange(0, TILE_N)
    row = tl.load(y_ptr + o_n, mask=o_n < N, other=0.0)
    tl.store(z, tl.load(x, boundary_check=(0, 1), padding_option="zero") + row[None, :], boundary_check=(0, 1))


@triton.jit
def swiglu(x_ptr, y_ptr, H, TILE: tl.constexpr):
    row, o_h = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    mask = o_h < H
    gate = tl.load(x_ptr + row * 2 * H + o_h, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(x_ptr + row * 2 * H + H + o_h, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * H + o_h, (gate * tl.sigmoid(gate) * up).to(y_ptr.dtype.element_ty), mask=mask)


def added(kernel, n: int, dtype: torch.dtype, tile: int, programs: int = 0) -> Example:
    if dtype.is_floating_point:
        x, y = torch.randn(n).to(dtype), torch.randn(n).to(dtype)
    else:
        x, y = (torch.randint(-(2**40), 2**40, (n,)).to(dtype) for _ in range(2))
    z = blank(n, dtype=dtype)
    grid = (programs or -(-n // tile),)
    return Example([ExampleLaunch(kernel, [x, y, z, n], dict(TILE=tile), grid)], [(z, x + y, 0.0)])


def added_rows(m: int, n: int, dtype: torch.dtype) -> Example:
    wide = torch.randn(m, n + 5).to(dtype)
    x, y, z = wide[:, :n], torch.randn(n).to(dtype), blank(m, n, dtype=dtype)
    args = [x, y, z, m, n, x.stride(0), z.stride(0)]
    launch = ExampleLaunch(add_rows, args, dict(TILE_M=8, TILE_N=64), (-(-m // 8), -(-n // 64)))
    return Example([launch], [(z, x + y, 0.0)])


def gated(rows: int, h: int, dtype: torch.dtype) -> Example:
    x, y = (4 * torch.randn(rows, 2 * h)).to(dtype), blank(rows, h, dtype=dtype)
    gate, up = x.double().chunk(2, dim=1)
    reference = torch.nn.functional.silu(gate) * up
    # exp, 1 +, division and two products, a rounding each
    bound = 6 * U * reference.abs() + stored(reference, dtype)
    return Example([ExampleLaunch(swiglu, [x, y, h], dict(TILE=256), (rows, -(-h // 256)))], [(y, reference, bound)])


EXAMPLES: dict[str, Maker] = {
    **{
        f"add-{name}-{n}": lambda n=n, dtype=dtype: added(add, n, dtype, 256)
        for n in (1, 1000, 1024)
        for name, dtype in FLOATS.items()
    },
    "add-int8-777": lambda: added(add, 777, torch.int8, 256),
    "add-int32-777": lambda: added(add, 777, torch.int32, 256),
    "add-int64-777": lambda: added(add, 777, torch.int64, 256),
    "add_in_a_loop-fp32-5000": lambda: added(add_in_a_loop, 5000, FP32, 512, programs=3),
    "add_in_a_loop-bf16-4096": lambda: added(add_in_a_loop, 4096, BF16, 1024, programs=4),
    "add_rows-fp32-37x100": lambda: added_rows(37, 100, FP32),
    "add_rows-fp16-8x128": lambda: added_rows(8, 128, FP16),
    **{f"swiglu-{name}-3x300": lambda dtype=dtype: gated(3, 300, dtype) for name, dtype in FLOATS.items()},
}
