"""The two launches of `bgmv_shrink_expand` apart: sums over each span of x's columns, then B times the sums of these.

What lies between them has [T, S, SPANS, R] numbers, twice the sums as in the one launch, of which none is read that was
not written: both launches leave out the same rows.
"""

import triton
import triton.language as tl

from .a_tiles import load_columns, load_rows, span_sums, twice_row_sums
from .b_tiles import load_tile, repeated, store_products
from .items import columns_of, rows_to_do, shared_item, slot_of


@triton.jit(do_not_specialize=["T", "L", "M"])
def _shrink_spans(
    x_ptr, a_ptr, low_ptr, idx_ptr, order_ptr, T, L, M,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr,
    TILE_A: tl.constexpr, SPAN: tl.constexpr, DEPTH: tl.constexpr, ASCEND: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    P: tl.constexpr = POWER if (POWER >= 16) or ((R == 8) and (b_stride_D == R)) else 16  # as where B is multiplied
    TILE_H: tl.constexpr = TILE_A // P
    SPANS: tl.constexpr = (H + SPAN - 1) // SPAN
    TILES: tl.constexpr = (H + TILE_H - 1) // TILE_H if SPANS == 1 else SPAN // TILE_H
    one = tl.where(L > 0, 1.0, 0.0) if ASCEND else 1.0
    rows = rows_to_do(order_ptr, T, M)
    o_r = tl.arange(0, P)
    # Each core takes spans that follow one another, so that tiles stay ahead from span to span of a row.
    each = tl.cdiv(rows * (S * SPANS), tl.num_programs(0))
    begin = tl.program_id(0) * each
    end = tl.minimum(begin + each, rows * (S * SPANS))
    for item in range(begin // SPANS, tl.cdiv(end, SPANS)):
        s = item // rows
        row, slot = slot_of(item % rows, order_ptr, idx_ptr, T, M)
        if (slot >= 0) & (slot < L):
            p_x = x_ptr + row * x_stride_T
            p_a = a_ptr + slot * a_stride_L + tl.cast(s, tl.int64) * a_stride_S
            p_low = low_ptr + (row * S + s) * (SPANS * R)
            if SPANS > 1:
                first = tl.maximum(begin - item * SPANS, 0) * SPAN
                last = tl.minimum(tl.minimum(end - item * SPANS, SPANS) * SPAN, H)
                b_x = load_columns(p_x, first, last, TILE_H, 1)
                b_a = load_rows(p_a, first, R, a_stride_R, last, P, TILE_H, 1)
                for h in range(first, last, SPAN):
                    end_h = tl.minimum(h + SPAN, H)
                    b_sum, b_gap, b_x, b_a = span_sums(
                        b_x, b_a, p_x, p_a, h, end_h, last, a_stride_R, one, R, TILES, DEPTH
                    )
                    tl.store(p_low + h // SPAN * R + o_r, twice_row_sums(b_sum, P, ASCEND), mask=o_r < R)
            else:
                b_x = load_columns(p_x, 0, H, TILE_H, 1)
                b_a = load_rows(p_a, 0, R, a_stride_R, H, P, TILE_H, 1)
                b_sum, b_gap, b_x, b_a = span_sums(b_x, b_a, p_x, p_a, 0, H, H, a_stride_R, one, R, TILES, DEPTH)
                tl.store(p_low + o_r, twice_row_sums(b_sum, P, ASCEND), mask=o_r < R)


@triton.jit(do_not_specialize=["T", "L", "M"])
def _expand_spans(
    low_ptr, b_ptr, y_ptr, idx_ptr, starts_ptr, order_ptr, scale, T, L, D, M,
    b_stride_L, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr, add: tl.constexpr,
    SPAN: tl.constexpr, TILE: tl.constexpr, SHARE: tl.constexpr, DEPTH: tl.constexpr, ASCEND: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_D == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    # Columns of a tile where it is multiplied: on Ascend at least two repeats of a vector instruction.
    WIDTH: tl.constexpr = 128 if ASCEND and (P < 128) else P
    SPANS: tl.constexpr = (H + SPAN - 1) // SPAN
    one = tl.where(L > 0, 1.0, 0.0) if ASCEND else 1.0
    rows = rows_to_do(order_ptr, T, M)
    o_r = tl.arange(0, P)
    for before in range(0, rows * S, tl.num_programs(0)):
        item, part, parts = shared_item(before, rows * S, SHARE)
        s = item // rows
        row, slot = slot_of(item % rows, order_ptr, idx_ptr, T, M)
        if ((slot >= 0) & (slot < L)) & (item < rows * S):
            first, last = columns_of(s, part, parts, starts_ptr, D, S, TILE // P)
            if first < last:
                p_b = b_ptr + slot * b_stride_L
                p_y = y_ptr + row * y_stride_T
                p_low = low_ptr + (row * S + s) * (SPANS * R)
                b_b = load_tile(p_b, first, last, b_stride_D, R, P, TILE, FLAT, 1)
                b_h = tl.zeros([P], tl.float32)
                for span in tl.static_range(SPANS):
                    b_h += tl.load(p_low + span * R + o_r, mask=o_r < R, other=0.0)
                b_h = b_h * (0.5 * scale)
                if P != R:
                    b_h = tl.where(o_r < R, b_h, 0.0)  # zeros of the padding times an infinity are none
                b_wide = repeated(b_h, P, WIDTH)
                store_products(
                    p_y, b_b, b_wide, p_b, first, last, b_stride_D, 1, one, R, P, add, TILE, FLAT, DEPTH, ASCEND
                )
