"""BGMV shrink and expand of several slices in one launch: ``y[t] (+)= scale * b[idx[t]] @ (a[idx[t]] @ x[t])``."""

import triton
import triton.language as tl

from ..limits import MAX_FUSED_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, PipelineDepth, PowerOf2
from . import arguments
from . import shrink_expand_reference as reference
from .a_tiles import block_sums, load_columns, load_rows
from .b_tiles import GAP, elements_a_row, load_tile, repeated, store_products

LANES = 64
"""Columns of a tile of A, at least: a whole repeat of a vector instruction."""


@triton.jit(do_not_specialize=["T", "L", "M"])
def _shrink_expand(
    x_ptr, a_ptr, b_ptr, y_ptr, idx_ptr, starts_ptr, order_ptr, scale, T, L, D, M,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R, b_stride_L, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr, add: tl.constexpr,
    TILE_A: tl.constexpr, TILE: tl.constexpr, SHARE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_D == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    WIDTH: tl.constexpr = 128 if P < 128 else P  # columns of a tile where it is multiplied: at least two repeats
    TILE_H: tl.constexpr = TILE_A // P
    TILES: tl.constexpr = (H + TILE_H - 1) // TILE_H
    # Two tiles a turn, as one that is carried to the next turn is copied; but not where the last turn's second is none.
    UNROLL: tl.constexpr = 1 if (TILES % 2 == 1) and (TILES < 16) else 2
    DEPTH_A: tl.constexpr = DEPTH if UNROLL == 1 else 1
    TILE_D: tl.constexpr = TILE // P
    one = tl.where(L > 0, 1.0, 0.0)
    programs = tl.num_programs(0)
    rows = T
    if M > 0:
        rows = tl.minimum(tl.load(order_ptr), T)  # the ones with an adapter
    # An item is a slice of a row, first slices first: they are the largest. Those that do not fill the cores again are
    # shared, each by several cores, of which every one shrinks for itself, as a launch costs more than that. These
    # cores are the last ones, whose items before were smaller. What is chosen is how many share an item, and not how
    # many work: only the device knows how many rows have an adapter.
    whole = rows * S // programs * programs
    left = rows * S - whole
    share = tl.minimum(tl.maximum(programs // tl.maximum(left, 1), 1), SHARE)
    for before in range(0, rows * S, programs):
        parts = tl.where(before < whole, 1, share)
        place = tl.where(before < whole, tl.program_id(0), programs - 1 - tl.program_id(0))
        item = before + place // parts
        part = place % parts
        s = item // rows
        row = item % rows
        if M > 0:
            row = tl.load(order_ptr + 1 + row)
        row = tl.cast(tl.minimum(tl.maximum(row, 0), T - 1), tl.int64)
        slot = tl.load(idx_ptr + row).to(tl.int64)
        if ((slot >= 0) & (slot < L)) & (item < rows * S):
            start = tl.maximum(tl.load(starts_ptr + s).to(tl.int32), 0)
            end = tl.load(starts_ptr + tl.minimum(s + 1, S - 1)).to(tl.int32)
            end = tl.minimum(tl.where(s + 1 < S, end, D), D)
            span = tl.cdiv(tl.cdiv(end - start, TILE_D), parts) * TILE_D
            first = start + part * span
            last = tl.minimum(first + span, end)
            if first < last:
                p_a = a_ptr + slot * a_stride_L + tl.cast(s, tl.int64) * a_stride_S
                p_b = b_ptr + slot * b_stride_L
                p_y = y_ptr + row * y_stride_T
                p_x = x_ptr + row * x_stride_T
                b_x = load_columns(p_x, 0, H, TILE_H, 1)
                b_a = load_rows(p_a, 0, R, a_stride_R, H, P, TILE_H, 1)
                b_sum = tl.zeros([P * TILE_H // 8], tl.float32)
                b_gap = tl.zeros([GAP], tl.float32) + one
                for h in range(0, H, UNROLL * TILE_H):
                    for turn in tl.static_range(UNROLL):
                        b_x_next = load_columns(p_x, h + (turn + 1) * TILE_H, H, TILE_H, DEPTH_A)
                        b_a_next = load_rows(p_a, h + (turn + 1) * TILE_H, R, a_stride_R, H, P, TILE_H, DEPTH_A)
                        b_rows = b_a.to(tl.float32)
                        if turn == 0:
                            b_gap = b_gap * one
                        b_sum += block_sums(b_rows, b_x)
                        b_x = b_x_next
                        b_a = b_a_next
                b_b = load_tile(p_b, first, last, b_stride_D, R, P, TILE, FLAT, 1)
                b_h = tl.sum(tl.reshape(b_sum, [P, TILE_H // 8]), axis=1)
                # A sum of two equal rows: no reshaping of what comes behind it is carried back into the loop above,
                # where the compiler would have x copied to every row of a.
                b_h = tl.sum(tl.reshape(b_h[None, None, :] + tl.zeros([1, 2, P], tl.float32), [1, 2, P]), axis=1)
                b_h = tl.reshape(b_h, [P]) * (0.5 * scale)
                if P != R:
                    b_h = tl.where(tl.arange(0, P) < R, b_h, 0.0)  # zeros of the padding times an infinity are none
                b_wide = repeated(b_h, P, WIDTH) * repeated(b_gap, GAP, WIDTH)
                store_products(p_y, b_b, b_wide, p_b, first, last, b_stride_D, 1, one, R, P, add, TILE, FLAT, DEPTH)


def _most_of_a(shape):
    """Elements of a tile of A: more gain where 8192 are columns of less than two repeats.

    There is no room for more in float32, nor for a single tile, whose loop is not unrolled and so has two buffers.
    """
    large = shape.R > 64 and shape.H > 16384 // elements_a_row(shape) and shape.dtype != "fp32"
    return 16384 if large else 8192


def _items(config, shape, cores):
    """A core for each part of an item that another may take, as far as there are cores."""
    parts = min(config.SHARE, triton.cdiv(shape.D, config.TILE // elements_a_row(shape)))
    return (min(shape.T * shape.S * parts, cores),)


bgmv_shrink_expand = KernelSpec(
    name="bgmv_shrink_expand",
    stages=(Stage(_shrink_expand, _items),),
    args=arguments.SHRINK_EXPAND,
    space=dict(
        TILE_A=PowerOf2(4096, 16384, default=16384),
        TILE=PowerOf2(2048, 16384, default=8192),
        SHARE=PowerOf2(1, 64, default=64),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(
        lanes_past_tile=lambda c, s: LANES * elements_a_row(s) - c.TILE_A,
        tile_past_buffer=lambda c, s: c.TILE_A - _most_of_a(s),
    ),
    group=("R",),  # one choice for all models: how much of the unified buffer tiles take depends on nothing else
    bucket=("T", "S", "H", "D"),
    invariant=("TILE_A",),
    reference=reference.shrink_expand,
    tolerance=reference.shrink_expand_tolerance,
    minimal_bytes=reference.shrink_expand_bytes,
    limits=dict(R=MAX_FUSED_RANK),
    typical="T=16 L=4 H=4096 S=1 R=16 D=4096 M=0",
    hard=(
        "T=1 H=1 S=1 R=1 D=1 L=1",
        "T=5 H=1031 S=3 R=12 D=301 idx=-1/last/0/0/-1 starts=0/200/270 strided",
        "T=3 H=70 S=2 R=16 D=96 index=int32 starts=0/40",
        "T=2 H=300 S=1 R=128 D=70 L=2",
        "T=7 H=500 S=1 R=3 D=80 idx=none",
        "T=43 H=130 S=2 R=8 D=150 L=3 idx=half index=int32 add=0 starts=16/100",
        "T=4 H=200 S=2 R=64 D=200 starts=0/150",
        "T=4 H=90 S=1 R=100 D=70 add=0 strided",
        "T=13 H=150 S=3 R=16 D=190 M=14 idx=-1/2/0/-1/2 starts=0/80/150",
        "T=41 H=70 S=1 R=8 D=96 M=42 idx=half",
    ),
    targets=reference.DECODING,
)
