"""Tiles of LoRA's A and of the rows that it multiplies, in Triton: how they are loaded, multiplied and summed."""

import triton
import triton.language as tl


@triton.jit
def load_rows(p_a, h, rows, a_stride, H, TILE_R: tl.constexpr, TILE_H: tl.constexpr, DEPTH: tl.constexpr):
    """Columns from ``h`` up to ``H`` of the first ``rows`` of a: [TILE_R, TILE_H], zeros elsewhere."""
    o_h = h + tl.arange(0, TILE_H)
    o_r = tl.arange(0, TILE_R)
    b_a = tl.load(
        p_a + o_r[:, None].to(tl.int64) * a_stride + o_h[None, :],
        mask=(o_r < rows)[:, None] & (o_h < H)[None, :],
        other=0.0,
    )
    if DEPTH > 1:
        tl.compile_hint(b_a, "hivm.multi_buffer", DEPTH)
    return b_a


@triton.jit
def load_columns(p_x, h, H, TILE_H: tl.constexpr, DEPTH: tl.constexpr):
    """From ``h`` up to ``H`` of one row: [TILE_H], zeros elsewhere."""
    o_h = h + tl.arange(0, TILE_H)
    b_x = tl.load(p_x + o_h, mask=o_h < H, other=0.0)
    if DEPTH > 1:
        tl.compile_hint(b_x, "hivm.multi_buffer", DEPTH)
    return b_x


@triton.jit
def block_sums(b_a, b_x):
    """Of the products of each row of a with x, the sums of 8 at a time: what one instruction makes of a vector."""
    SIZE: tl.constexpr = b_a.shape[0] * b_a.shape[1]
    b_p = b_a.to(tl.float32) * b_x.to(tl.float32)[None, :]
    return tl.sum(tl.reshape(b_p, [SIZE // 8, 8]), axis=1)
