"""Kernels that people write and that are refused: by the compiler, or by the simulator."""

import triton
import triton.language as tl


@triton.jit
def rotate_some_neighbours(x_ptr, y_ptr, half, HALF: tl.constexpr):
    o_h = tl.arange(0, HALF)
    a = tl.load(x_ptr + 2 * o_h, mask=o_h < half, other=0.0)
    b = tl.load(x_ptr + 2 * o_h + 1, mask=o_h < half, other=0.0)
    tl.store(y_ptr + 2 * o_h, -b, mask=o_h < half)
    tl.store(y_ptr + 2 * o_h + 1, a, mask=o_h < half)


@triton.jit
def merged(mean_1, square_1, count_1, mean_2, square_2, count_2):
    delta, count = mean_2 - mean_1, count_1 + count_2
    share = tl.where(count == 0, 0.0, count_2 / count)
    return mean_1 + delta * share, square_1 + square_2 + delta * delta * count_1 * share, count


@triton.jit
def welford(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0.0)
    mean, square, count = tl.reduce((x, tl.zeros_like(x), (o_n < n).to(tl.float32)), 0, merged)
    tl.store(y_ptr, mean)
    tl.store(y_ptr + 1, square / count)


@triton.jit
def tanh(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.math.tanh(tl.load(x_ptr + o_n)))


@triton.jit
def spin_lock(x_ptr, y_ptr, lock_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    x = tl.load(x_ptr + tl.program_id(0) * N + o_n)
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    tl.store(y_ptr + o_n, tl.load(y_ptr + o_n) + x)
    tl.atomic_xchg(lock_ptr, 0)


@triton.jit
def assembly(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    x = tl.load(x_ptr + o_n)
    twice = tl.inline_asm_elementwise("ADD.s64 $0, $1, $2", "=l,l,l", args=[x, x], dtype=tl.int64, is_pure=True, pack=1)
    tl.store(y_ptr + o_n, twice)
