"""BGMV shrink in Triton: ``y[t] = scale * a[idx[t]] @ x[t]``, from hidden size down to LoRA rank."""

import triton
import triton.language as tl

from ..limits import MAX_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Warps
from . import arguments, reference
from .a_tiles import block_sums, load_columns, load_rows
from .forms import ON_GPUS
from .targets import LLAMA_2_7B_DECODING


@triton.jit
def _next_with_slot(item, items, step, idx_ptr, L, PER_ROW: tl.constexpr):
    """The first item from ``item`` on whose row has a slot, and the slot; the last item and any slot if none has."""
    slot = tl.load(idx_ptr + tl.minimum(item, items - 1) // PER_ROW).to(tl.int64)
    while ((slot < 0) | (slot >= L)) & (item < items):
        item += step
        slot = tl.load(idx_ptr + tl.minimum(item, items - 1) // PER_ROW).to(tl.int64)
    return tl.minimum(item, items - 1), tl.minimum(tl.maximum(slot, 0), L - 1)


@triton.jit(do_not_specialize=["T", "L"])
def _shrink(
    x_ptr, a_ptr, y_ptr, idx_ptr, scale, T, L,
    x_stride_T, a_stride_L, a_stride_R, y_stride_SPLIT_H, y_stride_T, y_stride_R,
    H: tl.constexpr, R: tl.constexpr,
    TILE_H: tl.constexpr, TILE_R: tl.constexpr, SPLIT_H: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    RANK_TILES: tl.constexpr = (R + TILE_R - 1) // TILE_R
    PER_ROW: tl.constexpr = RANK_TILES * SPLIT_H
    SPAN: tl.constexpr = (H + SPLIT_H * TILE_H - 1) // (SPLIT_H * TILE_H) * TILE_H
    TILES: tl.constexpr = SPAN // TILE_H
    o_r = tl.arange(0, TILE_R)
    # Rows vary slowest: the expert rows of a doubled batch come first and are dealt over all cores.
    items = T * PER_ROW
    step = tl.num_programs(0)
    count = 0
    for item in range(tl.program_id(0), items, step):
        row = item // PER_ROW
        slot = tl.load(idx_ptr + row).to(tl.int64)
        if (slot >= 0) & (slot < L):
            count += 1
        else:
            o_y = item // SPLIT_H % RANK_TILES * TILE_R + o_r
            p_y = y_ptr + item % SPLIT_H * y_stride_SPLIT_H + tl.cast(row, tl.int64) * y_stride_T
            tl.store(p_y + o_y.to(tl.int64) * y_stride_R, tl.zeros([TILE_R], tl.float32), mask=o_y < R)
    if count > 0:
        # Items and their tiles in one loop: the next item's index, addresses and first copies come before this item's
        # sums are done, and the buffers stay full from one item to the next.
        item, slot = _next_with_slot(tl.program_id(0), items, step, idx_ptr, L, PER_ROW)
        h = item % SPLIT_H * SPAN
        r = item // SPLIT_H % RANK_TILES * TILE_R
        row = tl.cast(item // PER_ROW, tl.int64)
        p_x = x_ptr + row * x_stride_T
        p_a = a_ptr + slot * a_stride_L + tl.cast(r, tl.int64) * a_stride_R
        b_x = load_columns(p_x, h, H, TILE_H, 1)
        b_a = load_rows(p_a, h, R - r, a_stride_R, H, TILE_R, TILE_H, 1)
        b_sum = tl.zeros([TILE_R * TILE_H // 8], tl.float32)
        for place in range(1, count * TILES + 1):
            done = item
            if place % TILES == 0:
                item, slot = _next_with_slot(item + step, items, step, idx_ptr, L, PER_ROW)
            h = item % SPLIT_H * SPAN + place % TILES * TILE_H
            r = item // SPLIT_H % RANK_TILES * TILE_R
            row = tl.cast(item // PER_ROW, tl.int64)
            p_x = x_ptr + row * x_stride_T
            p_a = a_ptr + slot * a_stride_L + tl.cast(r, tl.int64) * a_stride_R
            more = place < count * TILES
            b_x_next = load_columns(p_x, tl.where(more, h, H), H, TILE_H, DEPTH)
            b_a_next = load_rows(p_a, h, tl.where(more, R - r, 0), a_stride_R, H, TILE_R, TILE_H, DEPTH)
            b_sum += block_sums(b_a, b_x)
            if place % TILES == 0:
                b_y = tl.sum(tl.reshape(b_sum, [TILE_R, TILE_H // 8]), axis=1) * scale
                o_y = done // SPLIT_H % RANK_TILES * TILE_R + o_r
                p_y = y_ptr + done % SPLIT_H * y_stride_SPLIT_H + tl.cast(done // PER_ROW, tl.int64) * y_stride_T
                tl.store(p_y + o_y.to(tl.int64) * y_stride_R, b_y, mask=o_y < R)
                b_sum = tl.zeros([TILE_R * TILE_H // 8], tl.float32)
            b_x = b_x_next
            b_a = b_a_next


@triton.jit(do_not_specialize=["T", "partial_stride_SPLIT_H"])
def _sum_parts(
    partial_ptr, y_ptr, T, partial_stride_SPLIT_H, y_stride_T, y_stride_R,
    R: tl.constexpr, SPLIT_H: tl.constexpr,
):  # fmt: skip
    o_r = tl.arange(0, triton.next_power_of_2(R))
    m_r = o_r < R
    for item in range(tl.program_id(0), T, tl.num_programs(0)):
        row = tl.cast(item, tl.int64)
        b_y = tl.zeros([triton.next_power_of_2(R)], dtype=tl.float32)
        for part in tl.static_range(SPLIT_H):
            b_y += tl.load(partial_ptr + part * partial_stride_SPLIT_H + row * R + o_r, mask=m_r, other=0.0)
        tl.store(y_ptr + row * y_stride_T + o_r.to(tl.int64) * y_stride_R, b_y, mask=m_r)


def _items(config, shape, cores):
    return (min(shape.T * triton.cdiv(shape.R, config.TILE_R) * config.SPLIT_H, cores),)


_CONSTRAINTS = dict(
    tile_past_hidden=lambda c, s: c.TILE_H - max(256, triton.next_power_of_2(s.H)),
    tile_past_rank=lambda c, s: c.TILE_R - triton.next_power_of_2(s.R),
    empty_parts=lambda c, s: (c.SPLIT_H - 1) * c.TILE_H - s.H + 1 if c.SPLIT_H > 1 else 0,
)

bgmv_shrink = KernelSpec(
    name="bgmv_shrink",
    stages=(
        Stage(_shrink, _items, when=lambda c, s: c.SPLIT_H == 1),
        Stage(_shrink, _items, when=lambda c, s: c.SPLIT_H > 1, tensors={"y": "partial"}),
        Stage(_sum_parts, lambda c, s, cores: (min(s.T, cores),), when=lambda c, s: c.SPLIT_H > 1),
    ),
    args=arguments.SHRINK,
    space=dict(
        TILE_H=PowerOf2(256, 8192, default=2048),
        TILE_R=PowerOf2(1, 32, default=4),
        SPLIT_H=Choice(1, 2, 4, 8),
        DEPTH=PipelineDepth(upto=4, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=_CONSTRAINTS,
    # A program for few rows of A, so that a few tokens fill a GPU, and tiles of which two and their products fit in
    # registers beside as many programs as hide the latency of a load.
    gpu=dict(
        space=dict(
            TILE_H=PowerOf2(256, 4096, default=1024),
            TILE_R=PowerOf2(1, 16, default=2),
            SPLIT_H=Choice(1, 2, 4, 8),
            WARPS=Warps(upto=8, default=4),
        ),
        constraints=dict(**_CONSTRAINTS, tile_past_registers=lambda c, s: c.TILE_H * c.TILE_R - 2048 * c.WARPS),
        invariant=("TILE_H", "TILE_R", "SPLIT_H", "WARPS"),
        counts=ON_GPUS,
    ),
    group=("H", "R"),
    bucket=("T",),
    invariant=("TILE_H", "TILE_R", "SPLIT_H"),
    reference=reference.shrink,
    tolerance=reference.shrink_tolerance,
    minimal_bytes=reference.shrink_bytes,
    limits=dict(R=MAX_RANK),
    typical="T=16 L=4 H=4096 R=16",
    hard=(
        "T=1 H=1 R=1 L=1",
        "T=5 H=4095 R=12 idx=-1/last/0/0/-1 strided",
        "T=3 H=8 R=16 index=int32",
        "T=2 H=576 R=256 L=2",
        "T=7 H=1100 R=3 idx=none",
        "T=45 H=130 R=8 L=3 idx=half index=int32 strided",
    ),
    targets=LLAMA_2_7B_DECODING,
)
