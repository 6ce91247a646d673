"""Kernels that the tests compile."""

import triton
import triton.language as tl

OFFSET: tl.constexpr = 3
SCALE = tl.constexpr(2.0)


@triton.jit
def scaled(x):
    return x * SCALE


@triton.jit
def add_offset(x_ptr, y_ptr, n, stride, TILE: tl.constexpr):
    index = tl.program_id(0) * TILE + tl.arange(0, TILE)
    x = tl.load(x_ptr + index * stride, mask=index < n, other=0.0)
    tl.store(y_ptr + index, scaled(x) + OFFSET, mask=index < n)


@triton.jit
def unknown_name(x_ptr, TILE: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, TILE), this_name_is_defined_nowhere)  # noqa: F821


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, K, M: tl.constexpr, N: tl.constexpr, TILE_K: tl.constexpr):
    o_m = tl.arange(0, M)
    o_n = tl.arange(0, N)
    o_k = tl.arange(0, TILE_K)
    acc = tl.zeros([M, N], dtype=tl.float32)
    for k in range(0, K, TILE_K):
        a = tl.load(a_ptr + o_m[:, None] * K + k + o_k[None, :])
        b = tl.load(b_ptr + (k + o_k)[:, None] * N + o_n[None, :])
        acc = tl.dot(a, b, acc)
    tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], acc * 2.0)
