"""Tiles of LoRA's A and of the rows that it multiplies, in Triton: how they are loaded, multiplied and summed."""

import triton
import triton.language as tl

from .b_tiles import GAP


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


@triton.jit
def span_sums(
    b_x, b_a, p_x, p_a, first, last, end, a_stride, one, R: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr
):
    """`block_sums` of the columns ``first`` up to ``last``, in at most ``TILES`` tiles, added tile by tile.

    ``b_x`` and ``b_a`` are the first tile of x and a; the tile behind the last one, with zeros from ``end`` on, is
    given back in their place. Two tiles a turn, as one that is carried to the next turn is copied; but not where the
    last turn's second is none and one of few.
    """
    P: tl.constexpr = b_a.shape[0]
    TILE_H: tl.constexpr = b_a.shape[1]
    UNROLL: tl.constexpr = 1 if (TILES % 2 == 1) and (TILES < 16) else 2
    DEPTH_A: tl.constexpr = DEPTH if UNROLL == 1 else 1
    b_sum = tl.zeros([P * TILE_H // 8], tl.float32)
    b_gap = tl.zeros([GAP], tl.float32) + one
    for h in range(first, last, UNROLL * TILE_H):
        for turn in tl.static_range(UNROLL):
            b_x_next = load_columns(p_x, h + (turn + 1) * TILE_H, end, TILE_H, DEPTH_A)
            b_a_next = load_rows(p_a, h + (turn + 1) * TILE_H, R, a_stride, end, P, TILE_H, DEPTH_A)
            b_rows = b_a.to(tl.float32)
            if turn == 0:
                b_gap = b_gap * one
            b_sum += block_sums(b_rows, b_x)
            b_x = b_x_next
            b_a = b_a_next
    return b_sum, b_gap, b_x, b_a


@triton.jit
def twice_row_sums(b_sum, P: tl.constexpr, ASCEND: tl.constexpr):
    """Twice the sums of ``P`` rows of what `span_sums` gives: [P].

    A sum of two equal rows: no reshaping of what comes behind it is carried back into the loop before, where the
    compiler would have x copied to every row of a. Elsewhere than on ``ASCEND`` it is one addition.
    """
    b_h = tl.sum(tl.reshape(b_sum, [P, b_sum.shape[0] // P]), axis=1)
    if ASCEND:
        b_h = tl.sum(tl.reshape(b_h[None, None, :] + tl.zeros([1, 2, P], tl.float32), [1, 2, P]), axis=1)
        b_h = tl.reshape(b_h, [P])
    else:
        b_h += b_h
    return b_h
