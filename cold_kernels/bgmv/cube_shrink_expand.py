"""BGMV shrink and expand on the cube cores: tiles of rows that share an adapter, both products in one launch."""

import triton
import triton.language as tl

from ..limits import MAX_FUSED_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import PowerOf2
from . import arguments
from . import cube_reference as reference
from .cube_tiles import HALF_L0, LEAST, SINGLE, SUMS, _a_tile, _store_columns, _x_tile, padded_rank
from .items import columns_of, shared_item
from .row_tiles import MANY, most_rows
from .tile_items import tile_of, tiles_to_do


@triton.jit
def _both_products(
    p_x, p_a, p_b, p_before, p_y, rows, width, start, end, scale, x_stride, a_stride, y_stride,
    H: tl.constexpr, R: tl.constexpr, b_stride: tl.constexpr, add: tl.constexpr,
    ROWS: tl.constexpr, TILE_A: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """``y[:rows, start:end] (+)= scale * (x @ a.T) @ b.T`` for rows that share an adapter, ``ROWS`` at most.

    What lies between the products is rounded to the type of b. ``width`` is H, and not known to be: of a loop over a
    single tile of A, which it would take apart, the compiler gives back a buffer in a launch's last turn only.
    """
    POWER: tl.constexpr = triton.next_power_of_2(R)
    P: tl.constexpr = POWER if POWER > 16 else 16
    TILE_H: tl.constexpr = TILE_A // P
    o_r = tl.arange(0, P)
    b_low = tl.zeros([ROWS, P], tl.float32)
    for h in range(0, width, TILE_H):
        b_x = _x_tile(p_x, rows, h, x_stride, H, ROWS, TILE_H)
        b_a = _a_tile(p_a, h, a_stride, H, R, P, TILE_H)
        b_low = tl.dot(b_x, tl.trans(b_a), b_low)
    b_low = b_low * scale
    if P != R:
        b_low = tl.where((o_r < R)[None, :], b_low, 0.0)  # columns of the padding are not multiplied, and hold anything
    b_h = b_low.to(p_b.dtype.element_ty)
    _store_columns(b_h, p_b, p_before, p_y, rows, start, end, y_stride, R, b_stride, add, ROWS, TILE)


@triton.jit(do_not_specialize=["T", "L", "N", "tiles_stride_F"])
def _shrink_expand_tiles(
    x_ptr, a_ptr, b_ptr, before_ptr, y_ptr, idx_ptr, starts_ptr, tiles_ptr, scale, T, L, D, N,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R, b_stride_L, y_stride_T, tiles_stride_F,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr, add: tl.constexpr,
    ROWS: tl.constexpr, TILE_A: tl.constexpr, TILE: tl.constexpr, SHARE: tl.constexpr,
):  # fmt: skip
    # ``before`` is y under another name: of one name the compiler gives all of the sums to one of two vector cores.
    POWER: tl.constexpr = triton.next_power_of_2(R)
    TILE_D: tl.constexpr = TILE // (POWER if POWER > 16 else 16)
    width = tl.where(L > 0, H, 0)
    tiles = tiles_to_do(tiles_ptr, T, N)
    # An item is a slice of a tile, first slices first: they are the largest. Of the cores that share one, each shrinks
    # for itself.
    for turn in range(0, tiles * S, tl.num_programs(0)):
        item, part, parts = shared_item(turn, tiles * S, SHARE)
        s = item // tiles
        first, rows, slot = tile_of(item % tiles, tiles_ptr, tiles_stride_F, idx_ptr, T, N)
        if ((slot >= 0) & (slot < L)) & (item < tiles * S):
            start, end = columns_of(s, part, parts, starts_ptr, D, S, TILE_D)
            p_x = x_ptr + first * x_stride_T
            p_a = a_ptr + slot * a_stride_L + tl.cast(s, tl.int64) * a_stride_S
            p_b = b_ptr + slot * b_stride_L
            p_before = before_ptr + first * y_stride_T
            p_y = y_ptr + first * y_stride_T
            if start < end:
                if rows == 1:
                    _both_products(
                        p_x, p_a, p_b, p_before, p_y, rows, width, start, end, scale,
                        x_stride_T, a_stride_R, y_stride_T, H, R, b_stride_D, add, SINGLE, TILE_A, TILE,
                    )  # fmt: skip
                else:
                    _both_products(
                        p_x, p_a, p_b, p_before, p_y, rows, width, start, end, scale,
                        x_stride_T, a_stride_R, y_stride_T, H, R, b_stride_D, add, ROWS, TILE_A, TILE,
                    )  # fmt: skip


def _items(config, shape, cores):
    """A cube core for each part of an item that another may take, as far as there are cube cores."""
    parts = min(config.SHARE, triton.cdiv(shape.D, config.TILE // padded_rank(shape)))
    return (min(shape.T * shape.S * parts, max(1, cores // 2)),)


bgmv_shrink_expand_cube = KernelSpec(
    name="bgmv_shrink_expand_cube",
    stages=(Stage(_shrink_expand_tiles, _items, tensors={"before": "y"}),),
    args=arguments.SHRINK_EXPAND_TILES,
    counts=dict(ROWS=lambda config, shape: most_rows(shape.T)),
    space=dict(
        TILE_A=PowerOf2(2048, 4 * HALF_L0, default=4096),
        TILE=PowerOf2(4096, 2 * HALF_L0, default=8192),
        SHARE=PowerOf2(4, 32, default=16),
    ),
    constraints=dict(
        a_past_half=lambda c, s: c.TILE_A // padded_rank(s) * MANY - HALF_L0 if padded_rank(s) < MANY else 0,
        a_too_narrow=lambda c, s: LEAST * padded_rank(s) - c.TILE_A,
        b_past_sums=lambda c, s: c.TILE // padded_rank(s) * MANY - SUMS,
        b_too_narrow=lambda c, s: LEAST * padded_rank(s) - c.TILE,
    ),
    by_hand=dict(
        TILE_A=lambda shape: HALF_L0 // MANY * padded_rank(shape),
        TILE=lambda shape: min(SUMS // MANY * padded_rank(shape), 2 * HALF_L0),
    ),
    group=("R",),
    bucket=("T", "S", "H", "D"),
    invariant=("TILE_A", "TILE"),
    reference=reference.shrink_expand,
    tolerance=reference.shrink_expand_tolerance,
    minimal_bytes=reference.shrink_expand_bytes,
    limits=dict(R=MAX_FUSED_RANK),
    typical="T=16 L=4 H=4096 S=1 R=64 D=4096 F=3 N=0",
    hard=(
        "T=1 H=1 S=1 R=1 D=1 L=1",
        "T=5 H=1031 S=3 R=12 D=301 idx=-1/last/0/0/-1 starts=0/200/270 strided",
        "T=3 H=70 S=2 R=16 D=96 index=int32 starts=0/40 N=4",
        "T=2 H=300 S=1 R=128 D=70 L=2",
        "T=7 H=500 S=1 R=3 D=80 idx=none N=8",
        "T=43 H=130 S=2 R=8 D=150 L=3 idx=half index=int32 add=0 starts=16/100 N=44",
        "T=40 H=512 S=2 R=64 D=200 starts=0/150 L=2 idx=half N=41",
        "T=4 H=90 S=1 R=100 D=70 add=0 strided",
        "T=300 H=256 S=1 R=16 D=190 L=2 idx=half N=301 dtype=bf16",
    ),
    targets=reference.TARGETS,
)
