"""BGMV expand in Triton: ``y[t] (+)= b[idx[t]] @ x[t]``, from LoRA rank up to the output's size."""

import triton
import triton.language as tl

from ..arguments import In, Index, InOut, Scalar
from ..limits import MAX_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Depth, PowerOf2
from . import reference
from .targets import LLAMA_2_7B_DECODING


@triton.jit(do_not_specialize=["T", "L"])
def _expand(
    b_ptr, x_ptr, y_ptr, idx_ptr, T, L,
    x_stride_T, x_stride_R, b_stride_L, y_stride_T, y_stride_H,
    H: tl.constexpr, R: tl.constexpr, b_stride_H: tl.constexpr, add: tl.constexpr,
    TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_H == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    TILE_H: tl.constexpr = TILE // P
    TILES: tl.constexpr = (H + TILE_H - 1) // TILE_H
    WIDTH: tl.constexpr = 64 if P < 64 else P  # lanes that one vector instruction fills
    o_h = tl.arange(0, TILE_H)
    o_r = tl.arange(0, P)
    o_flat = tl.arange(0, TILE)
    for item in range(tl.program_id(0), T * TILES, tl.num_programs(0)):
        row = tl.cast(item // TILES, tl.int64)
        h0 = tl.cast(item % TILES * TILE_H, tl.int64)
        slot = tl.load(idx_ptr + row).to(tl.int64)
        if (slot >= 0) & (slot < L):
            m_h = h0 + o_h < H
            p_x = x_ptr + row * x_stride_T
            b_x = tl.load(p_x + o_r.to(tl.int64) * x_stride_R, mask=o_r < R, other=0.0).to(tl.float32)  # [P]
            p_b = b_ptr + slot * b_stride_L + h0 * b_stride_H
            if FLAT:
                b_b = tl.load(p_b + o_flat, mask=o_flat < (H - h0) * R, other=0.0)  # one long burst
            else:
                b_b = tl.load(
                    p_b + o_h[:, None].to(tl.int64) * b_stride_H + o_r[None, :],
                    mask=m_h[:, None] & (o_r[None, :] < R),
                    other=0.0,
                )  # [TILE_H, P]
            if DEPTH > 1:
                tl.compile_hint(b_b, "hivm.multi_buffer", DEPTH)
            b_wide = tl.reshape(b_x[None, :] + tl.zeros([WIDTH // P, P], tl.float32), [WIDTH])
            b_p = tl.reshape(b_b, [TILE // WIDTH, WIDTH]).to(tl.float32) * b_wide[None, :]
            # Rows of 8, one 32-byte block, are summed by one instruction for many rows.
            b_p = tl.sum(tl.reshape(b_p, [TILE // 8, 8]), axis=1)
            if P > 64:
                b_p = tl.sum(tl.reshape(b_p, [TILE // 64, 8]), axis=1)
                b_y = tl.sum(tl.reshape(b_p, [TILE_H, P // 64]), axis=1)
            elif P > 8:
                b_y = tl.sum(tl.reshape(b_p, [TILE_H, P // 8]), axis=1)
            else:
                b_y = b_p
            p_y = y_ptr + row * y_stride_T + (h0 + o_h) * y_stride_H
            if add:
                b_y += tl.load(p_y, mask=m_h, other=0.0).to(tl.float32)
            tl.store(p_y, b_y.to(y_ptr.dtype.element_ty), mask=m_h)


def _row(shape):
    """Elements of a tile in a row of it, 16 or more; 8 where a kernel finds rows of 8 that follow one another."""
    return max(16, triton.next_power_of_2(shape.R))


def _items(config, shape, cores):
    return (min(shape.T * triton.cdiv(shape.H, config.TILE // _row(shape)), cores),)


bgmv_expand = KernelSpec(
    name="bgmv_expand",
    stages=(Stage(_expand, _items),),
    args=dict(
        b=In("L H R", "fp16 bf16 fp32"),
        x=In("T R", "fp32 fp16 bf16"),
        y=InOut("T H", "fp16 bf16 fp32", like="b"),
        idx=Index("T", "int32 int64", into="L", none=-1),
        add=Scalar("i1", default=True),
    ),
    space=dict(TILE=PowerOf2(1024, 16384, default=8192), DEPTH=Depth(upto=4, default=2), AUTO=AutoMultiBuffer()),
    require=dict(
        tile_past_output=lambda c, s: c.TILE - max(1024, _row(s) * triton.next_power_of_2(s.H)),
    ),
    group=("H", "R"),
    bucket=("T",),
    reference=reference.expand,
    bound=reference.expand_bound,
    minimal_bytes=reference.expand_bytes,
    limits=dict(R=MAX_RANK),
    typical="T=16 L=4 H=4096 R=16",
    hard=(
        "T=1 H=1 R=1 L=1",
        "T=5 H=4095 R=12 idx=-1/last/0/0/-1 strided",
        "T=3 H=8 R=16 index=int32",
        "T=2 H=300 R=256 L=2",
        "T=7 H=1100 R=3 idx=none",
        "T=45 H=130 R=8 L=3 idx=half index=int32 add=0",
        "T=4 H=96 R=4 add=0",
        "T=4 H=70 R=100 strided",
        "T=4 H=200 R=64",
    ),
    targets=LLAMA_2_7B_DECODING,
)
