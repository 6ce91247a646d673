"""BGMV shrink on the cube cores in Triton: ``y[t] = scale * a[idx[t]] @ x[t]``, rows of a sequence together."""

import triton
import triton.language as tl

from ..limits import MAX_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import PowerOf2
from . import arguments, reference
from . import cube_reference as targets
from .cube_tiles import HALF_L0, LEAST, SINGLE, SUMS, _x_tile, padded_rank
from .row_tiles import most_rows
from .sequence_items import first_item, sequence_of


@triton.jit
def _store_ranks(
    p_x, p_a, p_y, rows, width, r, scale, x_stride, a_stride, y_stride,
    H: tl.constexpr, R: tl.constexpr, scaled: tl.constexpr,
    ROWS: tl.constexpr, RANKS: tl.constexpr, TILE_H: tl.constexpr,
):  # fmt: skip
    """Columns from ``r`` of y for rows that share an adapter, ``ROWS`` at most.

    ``width`` is not known to be H: of a loop over a single tile, which it would take apart, the compiler gives back a
    buffer in a launch's last turn only.
    """
    o_m = tl.arange(0, ROWS)
    o_r = r + tl.arange(0, RANKS)
    b_y = tl.zeros([ROWS, RANKS], tl.float32)
    for h in range(0, width, TILE_H):
        b_x = _x_tile(p_x, rows, h, x_stride, H, ROWS, TILE_H)
        o_h = h + tl.arange(0, TILE_H)
        p_tile = p_a + o_r[:, None].to(tl.int64) * a_stride + o_h[None, :]
        if (R % RANKS == 0) and (H % TILE_H == 0):
            b_a = tl.load(p_tile)  # [RANKS, TILE_H]
        else:
            b_a = tl.load(p_tile, mask=(o_r < R)[:, None] & (o_h < H)[None, :], other=0.0)
        b_y = tl.dot(b_x, tl.trans(b_a), b_y)
    if scaled:
        b_y = b_y * scale
    p_out = p_y + o_m[:, None].to(tl.int64) * y_stride + o_r[None, :]
    tl.store(p_out, b_y, mask=(o_m < rows)[:, None] & (o_r < R)[None, :])


@triton.jit
def _store_zeros(zeros_ptr, p_y, rows, r, y_stride, R: tl.constexpr, ROWS: tl.constexpr, RANKS: tl.constexpr):
    """Zeros in y for rows without an adapter: a product of zeros, as the cube's sums cannot be cleared otherwise."""
    o_m = tl.arange(0, ROWS)
    o_r = r + tl.arange(0, RANKS)
    o_k = tl.arange(0, 16)
    b_x = tl.load(zeros_ptr + o_m[:, None] * 16 + o_k[None, :])
    b_a = tl.load(zeros_ptr + tl.arange(0, RANKS)[:, None] * 16 + o_k[None, :])
    b_y = tl.dot(b_x, tl.trans(b_a))
    p_out = p_y + o_m[:, None].to(tl.int64) * y_stride + o_r[None, :]
    tl.store(p_out, b_y, mask=(o_m < rows)[:, None] & (o_r < R)[None, :])


@triton.jit(do_not_specialize=["T", "L", "N"])
def _shrink_tiles(
    x_ptr, a_ptr, y_ptr, idx_ptr, lengths_ptr, slots_ptr, zeros_ptr, scale, T, L, N,
    x_stride_T, a_stride_L, a_stride_R, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, scaled: tl.constexpr,
    ROWS: tl.constexpr, RANKS: tl.constexpr, TILE_H: tl.constexpr,
):  # fmt: skip
    # An item is a tile of rows by ``RANKS`` columns of y, so that a few rows fill several cores, and no sum is shared.
    PARTS: tl.constexpr = (R + RANKS - 1) // RANKS
    width = tl.where(L > 0, H, 0)
    if N > 0:
        before = 0
        first = 0
        for n in range(N):
            length, slot = sequence_of(n, lengths_ptr, slots_ptr, first, T)
            there = (slot >= 0) & (slot < L)
            items = tl.cdiv(length, ROWS) * PARTS
            for item in range(first_item(before), items, tl.num_programs(0)):
                done = item // PARTS * ROWS
                row = tl.cast(first + done, tl.int64)
                rows = tl.minimum(length - done, ROWS)
                r = item % PARTS * RANKS
                if there:
                    _store_ranks(
                        x_ptr + row * x_stride_T, a_ptr + slot * a_stride_L, y_ptr + row * y_stride_T, rows, width, r,
                        scale, x_stride_T, a_stride_R, y_stride_T, H, R, scaled, ROWS, RANKS, TILE_H,
                    )  # fmt: skip
                else:
                    _store_zeros(zeros_ptr, y_ptr + row * y_stride_T, rows, r, y_stride_T, R, ROWS, RANKS)
            before += items
            first += length
    else:
        for item in range(tl.program_id(0), T * PARTS, tl.num_programs(0)):
            row = tl.cast(item // PARTS, tl.int64)
            slot = tl.load(idx_ptr + row).to(tl.int64)
            r = item % PARTS * RANKS
            if (slot >= 0) & (slot < L):
                _store_ranks(
                    x_ptr + row * x_stride_T, a_ptr + slot * a_stride_L, y_ptr + row * y_stride_T, 1, width, r,
                    scale, x_stride_T, a_stride_R, y_stride_T, H, R, scaled, SINGLE, RANKS, TILE_H,
                )  # fmt: skip
            else:
                _store_zeros(zeros_ptr, y_ptr + row * y_stride_T, 1, r, y_stride_T, R, SINGLE, RANKS)


def _items(config, shape, cores):
    return (min(shape.T * triton.cdiv(shape.R, config.RANKS), max(1, cores // 2)),)


bgmv_shrink_cube = KernelSpec(
    name="bgmv_shrink_cube",
    stages=(Stage(_shrink_tiles, _items),),
    args=arguments.SHRINK_SEQUENCES,
    space=dict(
        TILE_H=PowerOf2(64, 1024, default=256),
        RANKS=PowerOf2(16, 128, default=16),
        ROWS=PowerOf2(16, 128, default=16),
    ),
    constraints=dict(
        x_past_half=lambda c, s: c.ROWS * c.TILE_H - HALF_L0,
        a_past_half=lambda c, s: c.RANKS * c.TILE_H - 2 * HALF_L0,
        past_sums=lambda c, s: c.ROWS * c.RANKS - SUMS // 2,
        past_rank=lambda c, s: c.RANKS - padded_rank(s),
    ),
    by_hand=dict(
        RANKS=lambda shape: LEAST if shape.T * padded_rank(shape) < 512 else min(64, padded_rank(shape)),
        ROWS=lambda shape: most_rows(shape.T),
    ),
    group=("R",),
    bucket=("T", "H"),
    invariant=("TILE_H",),
    reference=targets.shrink,
    tolerance=targets.shrink_tolerance,
    minimal_bytes=reference.shrink_bytes,
    limits=dict(R=MAX_RANK),
    typical="T=16 L=4 H=4096 R=64 N=0 Z=2048",
    hard=(
        "T=1 H=1 R=1 L=1",
        "T=5 H=4095 R=12 idx=-1/last/0/0/-1 strided",
        "T=3 H=8 R=16 index=int32 scaled=1 N=3",
        "T=2 H=576 R=256 L=2 scaled=1 dtype=bf16",
        "T=7 H=1100 R=3 idx=none N=1",
        "T=45 H=130 R=8 L=3 idx=half index=int32 strided",
        "T=300 H=320 R=100 L=1 idx=half N=2 scaled=1",
    ),
    targets=targets.SHRINK_TARGETS,
)
