"""Tiles of LoRA's B in Triton: how one is loaded, multiplied by a row of numbers, and the products stored."""

import triton
import triton.language as tl

GAP = tl.constexpr(64)
"""Ones that are multiplied by a 1 which the compiler does not know: 256 bytes that it places between the two factors of
a product, so that these are read from different banks of the unified buffer, in half the time."""


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
def repeated(b_x, SIZE: tl.constexpr, WIDTH: tl.constexpr):
    """``b_x`` [SIZE], over and over: [WIDTH]."""
    return tl.reshape(b_x[None, :] + tl.zeros([WIDTH // SIZE, SIZE], tl.float32), [WIDTH])


@triton.jit
def row_sums(b_p, one, P: tl.constexpr):
    """Sums of ``P`` numbers that follow one another in ``b_p``: [TILE // P].

    Rows of 8 numbers, one 32-byte block, are summed by one instruction for many rows, and their sums in turn; ``one``,
    which is 1 but not known to be, keeps the compiler from making one sum of several out of them.
    """
    TILE: tl.constexpr = b_p.shape[0] * b_p.shape[1]
    b_y = tl.sum(tl.reshape(b_p, [TILE // 8, 8]), axis=1)
    if P > 64:
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // 64, 8]), axis=1)
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // P, P // 64]), axis=1)
    elif P > 8:
        b_y = tl.sum(tl.reshape(b_y * one, [TILE // P, P // 8]), axis=1)
    return b_y


@triton.jit
def store_products(
    p_y, b_b, b_wide, p_b, first, last, b_stride, y_stride, one, R: tl.constexpr, P: tl.constexpr,
    add: tl.constexpr, TILE: tl.constexpr, FLAT: tl.constexpr, DEPTH: tl.constexpr, ASCEND: tl.constexpr,
):  # fmt: skip
    """``y[first:last] (+)=`` rows of b times ``b_wide``, which is `repeated`; ``b_b`` is the first tile of these rows.

    The next tile is loaded before this one is worked on. On Ascend the scalar unit waits for the vector unit before
    each sum within lanes, so that a copy which is issued behind one starts when the tile is done with. What is done for
    its compiler alone, factors of one and sums in steps, is left out unless ``ASCEND``.
    """
    TILE_D: tl.constexpr = TILE // P
    WIDTH: tl.constexpr = b_wide.shape[0]
    b_gap = tl.zeros([GAP], tl.float32) + one
    for d in range(first, last, TILE_D):
        o_d = d + tl.arange(0, TILE_D)
        m_d = o_d < last
        o_y = o_d.to(tl.int64) * y_stride
        b_next = load_tile(p_b, d + TILE_D, last, b_stride, R, P, TILE, FLAT, DEPTH)
        if add:
            b_before = tl.load(p_y + o_y, mask=m_d, other=0.0)  # [TILE_D]
            if DEPTH > 1:
                tl.compile_hint(b_before, "hivm.multi_buffer", DEPTH)
        b_rows = tl.reshape(b_b, [TILE // WIDTH, WIDTH]).to(tl.float32)
        if ASCEND:
            b_gap = b_gap * one
            b_factor = b_wide * repeated(b_gap, GAP, WIDTH)
            b_y = row_sums(b_rows * b_factor[None, :], one, P)
        else:
            b_y = tl.sum(tl.reshape(b_rows * b_wide[None, :], [TILE_D, P]), axis=1)
        if add:
            b_y += b_before.to(tl.float32)
        tl.store(p_y + o_y, b_y.to(p_y.dtype.element_ty), mask=m_d)
        b_b = b_next


def elements_a_row(shape) -> int:
    """Elements of a tile in a row of it, 16 or more; kernels take 8 where rows of 8 are found to follow one another."""
    return max(16, triton.next_power_of_2(shape.R))
