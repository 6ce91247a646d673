"""Tiles of x, A and B as the cube multiplies them, in Triton, and what fits the cube's buffers."""

import triton
import triton.language as tl

from ..devices import interpreting

LEAST = 16
"""Rows and columns of a block that the cube multiplies."""
HALF_L0 = 16384
"""16-bit elements in half of L0A or L0B. A tile of x that fits, whatever its number of rows, is multiplied by one
instruction, so that a row's bits do not depend on it."""
SUMS = 32768
"""Sums in L0C, which holds those of one tile of B."""
SINGLE = tl.constexpr(LEAST if interpreting() else 1)
"""Rows of a tile of one row; the interpreter refuses products of fewer than 16."""


@triton.jit
def _a_tile(p_a, h, a_stride, H: tl.constexpr, R: tl.constexpr, P: tl.constexpr, TILE_H: tl.constexpr):
    """Columns from ``h`` of all rows of a: [P, TILE_H], zeros past the rank and past ``H``."""
    o_r = tl.arange(0, P)
    o_h = h + tl.arange(0, TILE_H)
    p_tile = p_a + o_r[:, None].to(tl.int64) * a_stride + o_h[None, :]
    if (P == R) and (H % TILE_H == 0):
        return tl.load(p_tile)
    return tl.load(p_tile, mask=(o_r < R)[:, None] & (o_h < H)[None, :], other=0.0)


@triton.jit
def _x_tile(p_x, rows, h, x_stride, H: tl.constexpr, ROWS: tl.constexpr, TILE_H: tl.constexpr):
    """Columns from ``h`` of a tile's rows of x: [ROWS, TILE_H], zeros past the rows and past ``H``.

    A single row is loaded without a mask where it can be: a masked tile is cleared first, for which its copy waits.
    """
    o_m = tl.arange(0, ROWS)
    o_h = h + tl.arange(0, TILE_H)
    p_tile = p_x + o_m[:, None].to(tl.int64) * x_stride + o_h[None, :]
    if (ROWS == 1) and (H % TILE_H == 0):
        return tl.load(p_tile)
    return tl.load(p_tile, mask=(o_m < rows)[:, None] & (o_h < H)[None, :], other=0.0)


@triton.jit
def _store_columns(
    b_h, p_b, p_before, p_y, rows, start, end, y_stride,
    R: tl.constexpr, b_stride: tl.constexpr, add: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """``y[:rows, start:end] (+)= h @ b.T``, ``TILE`` numbers of b at a time; h has the type of b."""
    POWER: tl.constexpr = triton.next_power_of_2(R)
    P: tl.constexpr = POWER if POWER > 16 else 16
    TILE_D: tl.constexpr = TILE // P
    o_m = tl.arange(0, ROWS)
    o_r = tl.arange(0, P)
    for d in range(start, end, TILE_D):
        o_d = d + tl.arange(0, TILE_D)
        m_y = (o_m < rows)[:, None] & (o_d < end)[None, :]
        o_y = o_m[:, None].to(tl.int64) * y_stride + o_d[None, :]
        b_b = tl.load(
            p_b + o_d[:, None].to(tl.int64) * b_stride + o_r[None, :],
            mask=(o_d < end)[:, None] & (o_r < R)[None, :],
            other=0.0,
        )
        b_y = tl.dot(b_h, tl.trans(b_b))
        if add:
            b_y += tl.load(p_before + o_y, mask=m_y, other=0.0).to(tl.float32)
        tl.store(p_y + o_y, b_y.to(p_y.dtype.element_ty), mask=m_y)


def padded_rank(shape) -> int:
    """Rows of a tile of A, and columns of one of B."""
    return max(LEAST, triton.next_power_of_2(shape.R))
