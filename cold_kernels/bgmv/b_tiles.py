"""Tiles of LoRA's B in Triton: how one is loaded, and multiplied by a row of numbers.

A loop that uses them loads the next tile before it works on this one. On Ascend the scalar unit waits for the vector
unit before each sum within lanes, so that a copy which is issued behind one starts when the tile is done with.
"""

import triton
import triton.language as tl


@triton.jit
def load_tile(
    p_b, d, end, b_stride, R: tl.constexpr, P: tl.constexpr, TILE: tl.constexpr, FLAT: tl.constexpr, DEPTH: tl.constexpr
):
    """Rows ``d`` up to ``end`` of b [D, R], as ``TILE`` elements, ``P`` a row; ``FLAT``: R = P, without gaps."""
    if FLAT:
        o_flat = tl.arange(0, TILE)
        # One long burst. What is past the end is multiplied, and not stored.
        b_b = tl.load(p_b + tl.cast(d, tl.int64) * R + o_flat, mask=o_flat < (end - d) * R, other=0.0)
        if DEPTH > 1:
            tl.compile_hint(b_b, "hivm.multi_buffer", DEPTH)
    else:
        o_d = d + tl.arange(0, TILE // P)
        o_r = tl.arange(0, P)
        b_rows = tl.load(
            p_b + o_d[:, None].to(tl.int64) * b_stride + o_r[None, :],
            mask=(o_d < end)[:, None] & (o_r < R)[None, :],
            other=0.0,
        )  # [TILE // P, P]
        if DEPTH > 1:
            tl.compile_hint(b_rows, "hivm.multi_buffer", DEPTH)
        b_b = tl.reshape(b_rows, [TILE])
    return b_b


@triton.jit
def repeated(b_x, P: tl.constexpr, WIDTH: tl.constexpr):
    """``b_x`` [P], over and over, as many lanes as one vector instruction fills."""
    return tl.reshape(b_x[None, :] + tl.zeros([WIDTH // P, P], tl.float32), [WIDTH])


@triton.jit
def times(b_b, b_wide, one, P: tl.constexpr, TILE: tl.constexpr):
    """The product of each row of a tile with ``b_wide``, which is `repeated`: [TILE // P] in float32.

    Rows of 8 numbers, one 32-byte block, are summed by one instruction for many rows, and their sums in turn; ``one``,
    which is 1 but not known to be, keeps the compiler from making one sum of several out of them.
    """
    WIDTH: tl.constexpr = b_wide.shape[0]
    b_p = tl.reshape(b_b, [TILE // WIDTH, WIDTH]).to(tl.float32) * b_wide[None, :]
    b_y = tl.sum(tl.reshape(b_p, [TILE // 8, 8]), axis=1)
    if P > 64:
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // 64, 8]), axis=1)
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // P, P // 64]), axis=1)
    elif P > 8:
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // P, P // 8]), axis=1)
    return b_y
