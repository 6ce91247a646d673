"""BGMV shrink and expand of several slices in one launch: ``y[t] (+)= scale * b[idx[t]] @ (a[idx[t]] @ x[t])``."""

import triton
import triton.language as tl

from ..arguments import In, Index, InOut, Scalar
from ..limits import MAX_FUSED_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Depth, PowerOf2
from . import shrink_expand_reference as reference

LANES = 64
"""Of a running sum: the float32 that one vector instruction takes at a time."""


@triton.jit(do_not_specialize=["T", "L"])
def _shrink_expand(
    x_ptr, a_ptr, b_ptr, y_ptr, idx_ptr, starts_ptr, scale, T, L, D,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R, b_stride_L, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr, add: tl.constexpr,
    TILE_A: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_D == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    TILE_H: tl.constexpr = TILE_A // P
    TILE_D: tl.constexpr = TILE // P
    WIDTH: tl.constexpr = 64 if P < 64 else P  # lanes that one vector instruction fills
    o_h = tl.arange(0, TILE_H)
    o_d = tl.arange(0, TILE_D)
    o_r = tl.arange(0, P)
    o_flat = tl.arange(0, TILE)
    m_r = o_r < R
    # Cores that are left share a row's outputs; each of them shrinks for itself, as a launch costs more than that.
    parts = tl.maximum(tl.num_programs(0) // (T * S), 1)
    for item in range(tl.program_id(0), T * S * parts, tl.num_programs(0)):
        row = tl.cast(item // (S * parts), tl.int64)
        s = item // parts % S
        slot = tl.load(idx_ptr + row).to(tl.int64)
        if (slot >= 0) & (slot < L):
            start = tl.maximum(tl.load(starts_ptr + s).to(tl.int32), 0)
            end = tl.load(starts_ptr + tl.minimum(s + 1, S - 1)).to(tl.int32)
            end = tl.minimum(tl.where(s + 1 < S, end, D), D)
            span = tl.cdiv(tl.cdiv(end - start, TILE_D), parts) * TILE_D
            first = start + item % parts * span
            last = tl.minimum(first + span, end)
            if first < last:
                p_x = x_ptr + row * x_stride_T
                p_a = a_ptr + slot * a_stride_L + tl.cast(s, tl.int64) * a_stride_S
                # A running sum for each of 64 lanes: one reduction to scalars a row, outside the loop.
                b_sum = tl.zeros([P, 64], dtype=tl.float32)
                for h0 in range(0, H, TILE_H):
                    m_h = h0 + o_h < H
                    b_x = tl.load(p_x + h0 + o_h, mask=m_h, other=0.0)  # [TILE_H]
                    b_a = tl.load(
                        p_a + o_r[:, None].to(tl.int64) * a_stride_R + (h0 + o_h)[None, :],
                        mask=m_r[:, None] & m_h[None, :],
                        other=0.0,
                    )  # [P, TILE_H]
                    if DEPTH > 1:
                        tl.compile_hint(b_x, "hivm.multi_buffer", DEPTH)
                        tl.compile_hint(b_a, "hivm.multi_buffer", DEPTH)
                    b_p = b_a.to(tl.float32) * b_x.to(tl.float32)[None, :]
                    b_sum += tl.sum(tl.reshape(b_p, [P, TILE_H // 64, 64]), axis=1)
                b_h = tl.sum(b_sum, axis=1) * scale  # [P]
                b_wide = tl.reshape(b_h[None, :] + tl.zeros([WIDTH // P, P], tl.float32), [WIDTH])
                for d0 in range(first, last, TILE_D):
                    m_d = d0 + o_d < last
                    p_b = b_ptr + slot * b_stride_L + tl.cast(d0, tl.int64) * b_stride_D
                    if FLAT:
                        b_b = tl.load(p_b + o_flat, mask=o_flat < (last - d0) * R, other=0.0)  # one long burst
                    else:
                        b_b = tl.load(
                            p_b + o_d[:, None].to(tl.int64) * b_stride_D + o_r[None, :],
                            mask=m_d[:, None] & m_r[None, :],
                            other=0.0,
                        )  # [TILE_D, P]
                    if DEPTH > 1:
                        tl.compile_hint(b_b, "hivm.multi_buffer", DEPTH)
                    b_p = tl.reshape(b_b, [TILE // WIDTH, WIDTH]).to(tl.float32) * b_wide[None, :]
                    # Rows of 8, one 32-byte block, are summed by one instruction for many rows.
                    b_p = tl.sum(tl.reshape(b_p, [TILE // 8, 8]), axis=1)
                    if P > 64:
                        b_p = tl.sum(tl.reshape(b_p, [TILE // 64, 8]), axis=1)
                        b_y = tl.sum(tl.reshape(b_p, [TILE_D, P // 64]), axis=1)
                    elif P > 8:
                        b_y = tl.sum(tl.reshape(b_p, [TILE_D, P // 8]), axis=1)
                    else:
                        b_y = b_p
                    p_y = y_ptr + row * y_stride_T + d0 + o_d
                    if add:
                        b_y += tl.load(p_y, mask=m_d, other=0.0).to(tl.float32)
                    tl.store(p_y, b_y.to(y_ptr.dtype.element_ty), mask=m_d)


def _row(shape):
    """Elements of a tile in a row of it, 16 or more; 8 where the kernel finds rows of 8 that follow one another."""
    return max(16, triton.next_power_of_2(shape.R))


def _items(config, shape, cores):
    return (min(shape.T * shape.S * triton.cdiv(shape.D, config.TILE // _row(shape)), cores),)


bgmv_shrink_expand = KernelSpec(
    name="bgmv_shrink_expand",
    stages=(Stage(_shrink_expand, _items),),
    args=dict(
        x=In("T H", "fp16 bf16 fp32"),
        a=In("L S R H", same_dtype="x"),
        b=In("L D R", same_dtype="x"),
        y=InOut("T D", "fp16 bf16 fp32", like="x"),
        idx=Index("T", "int32 int64", into="L", none=-1),
        starts=Index("S", "int32 int64", into="D"),
        scale=Scalar("fp32", default=0.5),
        add=Scalar("i1", default=True),
    ),
    space=dict(
        TILE_A=PowerOf2(4096, 16384, default=8192),
        TILE=PowerOf2(1024, 16384, default=4096),
        DEPTH=Depth(upto=4, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    require=dict(
        tile_past_hidden=lambda c, s: c.TILE_A - _row(s) * max(LANES, 4096 // _row(s), triton.next_power_of_2(s.H)),
        lanes_past_tile=lambda c, s: LANES * _row(s) - c.TILE_A,
        tile_past_output=lambda c, s: c.TILE - max(1024, _row(s) * triton.next_power_of_2(s.D)),
    ),
    group=("H", "R", "S", "D"),
    bucket=("T",),
    invariant=("TILE_A",),
    reference=reference.shrink_expand,
    bound=reference.shrink_expand_bound,
    minimal_bytes=reference.shrink_expand_bytes,
    limits=dict(R=MAX_FUSED_RANK),
    typical="T=16 L=4 H=4096 S=1 R=16 D=4096",
    hard=(
        "T=1 H=1 S=1 R=1 D=1 L=1",
        "T=5 H=1031 S=3 R=12 D=301 idx=-1/last/0/0/-1 starts=0/200/270 strided",
        "T=3 H=70 S=2 R=16 D=96 index=int32 starts=0/40",
        "T=2 H=300 S=1 R=128 D=70 L=2",
        "T=7 H=500 S=1 R=3 D=80 idx=none",
        "T=43 H=130 S=2 R=8 D=150 L=3 idx=half index=int32 add=0 starts=16/100",
        "T=4 H=200 S=2 R=64 D=200 starts=0/150",
        "T=4 H=90 S=1 R=100 D=70 add=0 strided",
    ),
    targets=reference.DECODING,
)
