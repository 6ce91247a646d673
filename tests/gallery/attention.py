"""Attention with a running maximum: the products on the cube core, the softmax between them on its vector cores."""

import torch
import triton
import triton.language as tl

from .example import BF16, FP16, Example, ExampleLaunch, Maker, U, blank, stored

MASKED = -1e30


@triton.jit
def attention(
    q_ptr, k_ptr, v_ptr, o_ptr, T, scale,
    D: tl.constexpr, TILE_M: tl.constexpr, TILE_N: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    base = tl.program_id(1) * T * D
    o_m, o_d = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M), tl.arange(0, D)
    q = tl.load(q_ptr + base + o_m[:, None] * D + o_d[None, :], mask=(o_m < T)[:, None], other=0.0)
    largest = tl.full((TILE_M,), -1e30, tl.float32)
    total = tl.zeros((TILE_M,), tl.float32)
    y = tl.zeros((TILE_M, D), tl.float32)
    for start in range(0, T, TILE_N):
        o_n = start + tl.arange(0, TILE_N)
        k = tl.load(k_ptr + base + o_n[:, None] * D + o_d[None, :], mask=(o_n < T)[:, None], other=0.0)
        v = tl.load(v_ptr + base + o_n[:, None] * D + o_d[None, :], mask=(o_n < T)[:, None], other=0.0)
        s = tl.dot(q, tl.trans(k)) * scale
        s = tl.where((o_n < T)[None, :], s, -1e30)
        if CAUSAL:
            s = tl.where(o_m[:, None] >= o_n[None, :], s, -1e30)
        now = tl.maximum(largest, tl.max(s, axis=1))
        p = tl.exp(s - now[:, None])
        shrink = tl.exp(largest - now)
        total = total * shrink + tl.sum(p, axis=1)
        y = y * shrink[:, None] + tl.dot(p.to(v.dtype), v)
        largest = now
    y = y / total[:, None]
    tl.store(o_ptr + base + o_m[:, None] * D + o_d[None, :], y.to(o_ptr.dtype.element_ty), mask=(o_m < T)[:, None])


def example(heads: int, t: int, d: int, dtype: torch.dtype, causal: bool, tile_m: int, tile_n: int) -> Example:
    q, k, v = (torch.randn(heads, t, d).to(dtype) for _ in range(3))
    o, scale = blank(heads, t, d, dtype=dtype), d**-0.5
    products = q.double() @ k.double().transpose(1, 2)
    s = products * scale
    if causal:
        s = s.masked_fill(~torch.ones(t, t, dtype=torch.bool).tril(), MASKED)
    weights = s.softmax(-1)
    reference, spread = weights @ v.double(), weights @ v.double().abs()
    # A score is off by the sum of its products and by its scale, its exponential by that much of itself and by the
    # rounding of its difference; the weight is rounded to the type of the values; each sum once more for every term.
    score = scale * (q.double().abs() @ k.double().abs().transpose(1, 2)).amax() * (d + 1) * U
    exponent = 2 * score + 4 * s.masked_fill(s == MASKED, 0).abs().amax() * U
    share = exponent + torch.finfo(dtype).eps + (2 * t + 8 * (-(-t // tile_n))) * U
    bound = share * spread + stored(reference, dtype)
    grid = (-(-t // tile_m), heads)
    constants = dict(D=d, TILE_M=tile_m, TILE_N=tile_n, CAUSAL=causal)
    return Example([ExampleLaunch(attention, [q, k, v, o, t, scale], constants, grid)], [(o, reference, bound)])


EXAMPLES: dict[str, Maker] = {
    "attention-fp16-2x150x64-causal": lambda: example(2, 150, 64, FP16, True, 64, 64),
    "attention-bf16-1x128x128": lambda: example(1, 128, 128, BF16, False, 64, 32),
    "attention-fp16-1x40x32": lambda: example(1, 40, 32, FP16, False, 32, 32),
}
