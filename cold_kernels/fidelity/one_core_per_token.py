"""The scheme of vllm-ascend's AscendC LoRA kernels as plain Triton: one core a token, one buffer, a read-back a row.

After ``csrc/kernels/bgmv_shrink.cpp`` and ``bgmv_expand.cpp`` of vllm-project/vllm-ascend (182b75ea84ff, Apache-2.0).
"""

import triton
import triton.language as tl


@triton.jit
def shrink(x_ptr, a_ptr, y_ptr, idx_ptr, scale, H: tl.constexpr, R: tl.constexpr, TILE: tl.constexpr):
    """``y[t] = scale * a[idx[t]] @ x[t]``; x [T, H], a [L, R, H], y [T, R] fp32.

    Every rank row is copied, multiplied and summed to one number on the scalar unit before the next one. A hidden
    size above ``TILE`` loads ``x`` again for every rank row.
    """
    row = tl.program_id(0)
    slot = tl.load(idx_ptr + row)
    o = tl.arange(0, TILE)
    if slot >= 0:
        x_at, a_at = x_ptr + row * H, a_ptr + slot * R * H
        if H <= TILE:
            x = tl.load(x_at + o, mask=o < H, other=0.0).to(tl.float32)
            for r in range(R):
                a = tl.load(a_at + r * H + o, mask=o < H, other=0.0).to(tl.float32)
                tl.store(y_ptr + row * R + r, tl.sum(a * x) * scale)
        else:
            for r in range(R):
                total = 0.0
                for h in range(0, H, TILE):
                    x = tl.load(x_at + h + o, mask=h + o < H, other=0.0).to(tl.float32)
                    a = tl.load(a_at + r * H + h + o, mask=h + o < H, other=0.0).to(tl.float32)
                    total += tl.sum(a * x)
                tl.store(y_ptr + row * R + r, total * scale)


@triton.jit
def expand(b_ptr, x_ptr, y_ptr, idx_ptr, H: tl.constexpr, R: tl.constexpr, TILE: tl.constexpr):
    """``y[t] += b[idx[t]] @ x[t]``; b [L, H, R], x [T, R] fp32, y [T, H]. ``R`` is 64, as the weights are padded to it.

    ``TILE`` elements of ``b`` a copy, one copy ahead of the vector unit.
    """
    row = tl.program_id(0)
    slot = tl.load(idx_ptr + row)
    o, o_r = tl.arange(0, TILE), tl.arange(0, R)
    o_h = tl.arange(0, TILE // R)
    if slot >= 0:
        x = tl.load(x_ptr + row * R + o_r)
        for h in range(0, H, TILE // R):
            b = tl.load(b_ptr + (slot * H + h) * R + o, mask=o < (H - h) * R, other=0.0)
            tl.compile_hint(b, "hivm.multi_buffer", 2)
            p = tl.reshape(b, [TILE // R, R]).to(tl.float32) * x[None, :]
            p = tl.sum(tl.reshape(p, [TILE // 8, 8]), axis=1)
            p = tl.sum(tl.reshape(p, [TILE // R, R // 8]), axis=1)
            y = tl.load(y_ptr + row * H + h + o_h, mask=h + o_h < H, other=0.0).to(tl.float32)
            tl.store(y_ptr + row * H + h + o_h, (y + p).to(y_ptr.dtype.element_ty), mask=h + o_h < H)
