"""The scheme of vllm-ascend's AscendC LoRA kernels as plain Triton: one core a token, one buffer, a read-back a row.

After ``csrc/kernels/bgmv_shrink.cpp`` and ``bgmv_expand.cpp`` of vllm-project/vllm-ascend (182b75ea84ff, Apache-2.0).
"""

import triton
import triton.language as tl


@triton.jit
def shrink(
    x_ptr, a_ptr, y_ptr, idx_ptr, scale, x_stride_T, a_stride_L, a_stride_R, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """``y[t] = scale * a[idx[t]] @ x[t]``; x [T, H], a [L, R, H], y [T, R] fp32.

    Every rank row is copied, multiplied and summed to one number on the scalar unit before the next one. A hidden
    size above ``TILE`` loads ``x`` again for every rank row.
    """
    row = tl.program_id(0)
    slot = tl.load(idx_ptr + row)
    o = tl.arange(0, TILE)
    if slot >= 0:
        x_at, a_at, y_at = x_ptr + row * x_stride_T, a_ptr + slot * a_stride_L, y_ptr + row * y_stride_T
        if H <= TILE:
            x = tl.load(x_at + o, mask=o < H, other=0.0).to(tl.float32)
            for r in range(R):
                a = tl.load(a_at + r * a_stride_R + o, mask=o < H, other=0.0).to(tl.float32)
                tl.store(y_at + r, tl.sum(a * x) * scale)
        else:
            for r in range(R):
                total = 0.0
                for h in range(0, H, TILE):
                    x = tl.load(x_at + h + o, mask=h + o < H, other=0.0).to(tl.float32)
                    a = tl.load(a_at + r * a_stride_R + h + o, mask=h + o < H, other=0.0).to(tl.float32)
                    total += tl.sum(a * x)
                tl.store(y_at + r, total * scale)


@triton.jit
def expand(
    b_ptr, x_ptr, y_ptr, idx_ptr, b_stride_L, b_stride_H, x_stride_T, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """``y[t] += b[idx[t]] @ x[t]``; b [L, H, R], x [T, R] fp32, y [T, H]; ``R`` is a power of two from 8 to 128.

    ``TILE`` elements of ``b`` a copy, and as its two buffers allow, the next copy is under way meanwhile. Blocks of 8
    products are summed by one instruction, and their sums by another one: ``one``, which is 1, keeps the compiler from
    another order.
    """
    WIDTH: tl.constexpr = 64 if R < 64 else R
    one = tl.where(tl.num_programs(0) > 0, 1.0, 0.0)
    row = tl.program_id(0)
    slot = tl.load(idx_ptr + row)
    o, o_r = tl.arange(0, TILE), tl.arange(0, R)
    o_h = tl.arange(0, TILE // R)
    if slot >= 0:
        b_at, y_at = b_ptr + slot * b_stride_L, y_ptr + row * y_stride_T
        x = tl.load(x_ptr + row * x_stride_T + o_r)
        x_wide = tl.reshape(x[None, :] + tl.zeros([WIDTH // R, R], tl.float32), [WIDTH])
        b = tl.load(b_at + o, mask=o < H * R, other=0.0)
        for h in range(0, H, TILE // R):
            ahead = tl.load(b_at + h * b_stride_H + TILE + o, mask=o < (H - h) * R - TILE, other=0.0)
            p = tl.reshape(b, [TILE // WIDTH, WIDTH]).to(tl.float32) * x_wide[None, :]
            p = tl.sum(tl.reshape(p, [TILE // 8, 8]), axis=1)
            if R > 64:
                p = tl.sum(tl.reshape(p * one, [TILE // 64, 8]), axis=1)
                p = tl.sum(tl.reshape(p * one, [TILE // R, R // 64]), axis=1)
            elif R > 8:
                p = tl.sum(tl.reshape(p * one, [TILE // R, R // 8]), axis=1)
            b = ahead
            y = tl.load(y_at + h + o_h, mask=h + o_h < H, other=0.0).to(tl.float32)
            tl.store(y_at + h + o_h, (y + p).to(y_ptr.dtype.element_ty), mask=h + o_h < H)
