"""Rotary embedding: halves of a head against each other, and neighbours against each other."""

import torch
import triton
import triton.language as tl

from .example import FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored


@triton.jit
def rotate_halves(x_ptr, cos_ptr, sin_ptr, heads, HALF: tl.constexpr):
    token, o_h = tl.program_id(0), tl.arange(0, HALF)
    cos = tl.load(cos_ptr + token * HALF + o_h)
    sin = tl.load(sin_ptr + token * HALF + o_h)
    for head in range(heads):
        first = x_ptr + (token * heads + head) * 2 * HALF + o_h
        a, b = tl.load(first).to(tl.float32), tl.load(first + HALF).to(tl.float32)
        tl.store(first, (a * cos - b * sin).to(x_ptr.dtype.element_ty))
        tl.store(first + HALF, (b * cos + a * sin).to(x_ptr.dtype.element_ty))


@triton.jit
def rotate_heads(x_ptr, cos_ptr, sin_ptr, heads, HALF: tl.constexpr, HEADS: tl.constexpr):
    token = tl.program_id(0)
    o_n, o_h = tl.arange(0, HEADS)[:, None], tl.arange(0, HALF)[None, :]
    mask = o_n < heads
    cos = tl.load(cos_ptr + token * HALF + o_h)
    sin = tl.load(sin_ptr + token * HALF + o_h)
    first = x_ptr + (token * heads + o_n) * 2 * HALF + o_h
    a = tl.load(first, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(first + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(first, (a * cos - b * sin).to(x_ptr.dtype.element_ty), mask=mask)
    tl.store(first + HALF, (b * cos + a * sin).to(x_ptr.dtype.element_ty), mask=mask)


@triton.jit
def rotate_neighbours(x_ptr, cos_ptr, sin_ptr, y_ptr, HALF: tl.constexpr):
    row, o_h = tl.program_id(0), tl.arange(0, HALF)
    a = tl.load(x_ptr + row * 2 * HALF + 2 * o_h).to(tl.float32)
    b = tl.load(x_ptr + row * 2 * HALF + 2 * o_h + 1).to(tl.float32)
    cos = tl.load(cos_ptr + row * HALF + o_h)
    sin = tl.load(sin_ptr + row * HALF + o_h)
    tl.store(y_ptr + row * 2 * HALF + 2 * o_h, (a * cos - b * sin).to(y_ptr.dtype.element_ty))
    tl.store(y_ptr + row * 2 * HALF + 2 * o_h + 1, (b * cos + a * sin).to(y_ptr.dtype.element_ty))


@triton.jit
def rotate_pairs(x_ptr, cos_ptr, sin_ptr, y_ptr, HALF: tl.constexpr):
    row, o_h, o_d = tl.program_id(0), tl.arange(0, HALF), tl.arange(0, 2 * HALF)
    pairs = tl.reshape(tl.load(x_ptr + row * 2 * HALF + o_d), [HALF, 2])
    a, b = tl.split(pairs.to(tl.float32))
    cos = tl.load(cos_ptr + row * HALF + o_h)
    sin = tl.load(sin_ptr + row * HALF + o_h)
    y = tl.interleave(a * cos - b * sin, b * cos + a * sin)
    tl.store(y_ptr + row * 2 * HALF + o_d, y.to(y_ptr.dtype.element_ty))


@triton.jit
def rotate_neighbours_of_heads(x_ptr, cos_ptr, sin_ptr, y_ptr, heads, HALF: tl.constexpr, HEADS: tl.constexpr):
    o_n, o_h = tl.arange(0, HEADS)[:, None], tl.arange(0, HALF)[None, :]
    first, mask = (tl.program_id(0) * heads + o_n) * 2 * HALF + 2 * o_h, o_n < heads
    a = tl.load(x_ptr + first, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(x_ptr + first + 1, mask=mask, other=0.0).to(tl.float32)
    cos = tl.load(cos_ptr + tl.program_id(0) * HALF + o_h)
    sin = tl.load(sin_ptr + tl.program_id(0) * HALF + o_h)
    tl.store(y_ptr + first, (a * cos - b * sin).to(y_ptr.dtype.element_ty), mask=mask)
    tl.store(y_ptr + first + 1, (b * cos + a * sin).to(y_ptr.dtype.element_ty), mask=mask)


def _turned(a: torch.Tensor, b: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, dtype: torch.dtype):
    """Both outputs in float64, and how far they may be off: two products and their sum, then storing."""
    first, second = a * cos - b * sin, b * cos + a * sin
    sizes = (a * cos).abs() + (b * sin).abs(), (b * cos).abs() + (a * sin).abs()
    return (first, second), [2 * U * size + stored(y, dtype) for size, y in zip(sizes, (first, second), strict=True)]


def halves(tokens: int, heads: int, half: int, dtype: torch.dtype, tile: int = 0) -> Example:
    x = torch.randn(tokens, heads, 2 * half).to(dtype)
    angle = torch.rand(tokens, half) * 6
    cos, sin = angle.cos(), angle.sin()
    a, b = x.double().chunk(2, dim=2)
    outputs, bounds = _turned(a, b, cos.double()[:, None], sin.double()[:, None], dtype)
    constants = dict(HALF=half, HEADS=tile) if tile else dict(HALF=half)
    launch = ExampleLaunch(rotate_heads if tile else rotate_halves, [x, cos, sin, heads], constants, (tokens,))
    return Example([launch], [(x, torch.cat(outputs, dim=2), torch.cat(bounds, dim=2))])


def neighbours(kernel, rows: int, half: int, dtype: torch.dtype) -> Example:
    x, y = torch.randn(rows, 2 * half).to(dtype), blank(rows, 2 * half, dtype=dtype)
    angle = torch.rand(rows, half) * 6
    cos, sin = angle.cos(), angle.sin()
    a, b = x.double()[:, ::2], x.double()[:, 1::2]
    outputs, bounds = _turned(a, b, cos.double(), sin.double(), dtype)
    woven, bound = (torch.stack(parts, dim=2).flatten(1) for parts in (outputs, bounds))
    return Example([ExampleLaunch(kernel, [x, cos, sin, y], dict(HALF=half), (rows,))], [(y, woven, bound)])


def neighbours_of_heads(tokens: int, heads: int, half: int, dtype: torch.dtype) -> Example:
    x, y = torch.randn(tokens, heads, 2 * half).to(dtype), blank(tokens, heads, 2 * half, dtype=dtype)
    angle = torch.rand(tokens, half) * 6
    cos, sin = angle.cos(), angle.sin()
    a, b = x.double()[..., ::2], x.double()[..., 1::2]
    outputs, bounds = _turned(a, b, cos.double()[:, None], sin.double()[:, None], dtype)
    woven, bound = (torch.stack(parts, dim=3).flatten(2) for parts in (outputs, bounds))
    constants = dict(HALF=half, HEADS=8)
    launch = ExampleLaunch(rotate_neighbours_of_heads, [x, cos, sin, y, heads], constants, (tokens,))
    return Example([launch], [(y, woven, bound)])


EXAMPLES: dict[str, Maker] = {
    **{f"halves-{name}-5x3x64": lambda d=dtype: halves(5, 3, 64, d) for name, dtype in FLOATS.items()},
    "halves-fp32-4x1x24": lambda: halves(4, 1, 24, FP32),
    "heads-fp16-4x6x64": lambda: halves(4, 6, 64, FP16, tile=8),
    "heads-fp32-3x8x32": lambda: halves(3, 8, 32, FP32, tile=8),
    **{f"neighbours-{n}-6x64": lambda d=dtype: neighbours(rotate_neighbours, 6, 64, d) for n, dtype in FLOATS.items()},
    "neighbours-fp16-3x40": lambda: neighbours(rotate_neighbours, 3, 40, FP16),
    "neighbours_of_heads-fp32-3x6x64": lambda: neighbours_of_heads(3, 6, 64, FP32),
    "neighbours_of_heads-fp16-2x8x32": lambda: neighbours_of_heads(2, 8, 32, FP16),
    **{f"pairs-{name}-6x64": lambda d=dtype: neighbours(rotate_pairs, 6, 64, d) for name, dtype in FLOATS.items()},
}
