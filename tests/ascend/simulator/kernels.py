"""Small kernels that the simulator's tests compile, and how they compile them."""

import functools
import inspect

import triton
import triton.language as tl

from cold_kernels.ascend import CompileOptions, compile_kernel
from cold_kernels.stage import StageCall


@triton.jit
def add(x_ptr, y_ptr, z_ptr, n, TILE: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0.0)
    tl.store(z_ptr + o_n, x + tl.load(y_ptr + o_n, mask=o_n < n, other=0.0), mask=o_n < n)


@triton.jit
def softmax(x_ptr, y_ptr, n, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    x = tl.load(x_ptr + row * n + o_n, mask=o_n < n, other=float("-inf")).to(tl.float32)
    x = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * n + o_n, (x / tl.sum(x, axis=0)).to(y_ptr.dtype.element_ty), mask=o_n < n)


@triton.jit
def argmax(x_ptr, y_ptr, n, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    x = tl.load(x_ptr + row * n + o_n, mask=o_n < n, other=float("-inf"))
    tl.store(y_ptr + row, tl.argmax(x, axis=0))


@triton.jit
def atomic_sum(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.atomic_add(y_ptr + o_n, tl.load(x_ptr + tl.program_id(0) * N + o_n))


@triton.jit
def gather(x_ptr, i_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.load(x_ptr + tl.load(i_ptr + o_n)))


@triton.jit
def gather_rows(x_ptr, i_ptr, y_ptr, M: tl.constexpr, N: tl.constexpr):
    o_m, o_n = tl.program_id(0) * M + tl.arange(0, M), tl.arange(0, N)
    index = tl.load(i_ptr + o_m)
    tl.store(y_ptr + o_m[:, None] * N + o_n[None, :], tl.load(x_ptr + index[:, None] * N + o_n[None, :]))


@triton.jit
def integers(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0)
    y = tl.where(x > 3, x * 2, x - 1) + (x >> 1) + (x & 7) + (x ^ 5) + tl.where(x == 2, 10, 0)
    tl.store(y_ptr + o_n, y, mask=o_n < n)


@triton.jit
def divide(x_ptr, y_ptr, q_ptr, r_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0)
    y = tl.load(y_ptr + o_n, mask=o_n < n, other=0)
    tl.store(q_ptr + o_n, x // y, mask=o_n < n)
    tl.store(r_ptr + o_n, x % y, mask=o_n < n)


@triton.jit
def convert(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0)
    tl.store(y_ptr + o_n, x.to(y_ptr.dtype.element_ty), mask=o_n < n)


@triton.jit
def transpose(x_ptr, y_ptr, M: tl.constexpr, N: tl.constexpr):
    o_m, o_n = tl.arange(0, M), tl.arange(0, N)
    x = tl.load(x_ptr + o_m[:, None] * N + o_n[None, :])
    tl.store(y_ptr + o_n[:, None] * M + o_m[None, :], tl.trans(x))


@triton.jit
def narrow_rows(x_ptr, y_ptr, rows, columns, M: tl.constexpr, N: tl.constexpr):
    o_m, o_n = tl.arange(0, M), tl.arange(0, N)
    mask = (o_m[:, None] < rows) & (o_n[None, :] < columns)
    x = tl.load(x_ptr + o_m[:, None] * 5 + o_n[None, :], mask=mask, other=7.0)
    tl.store(y_ptr + o_m[:, None] * N + o_n[None, :], x)


@triton.jit
def shifted(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    tl.store(y_ptr + o_n, tl.load(x_ptr + o_n - n, mask=o_n >= n, other=-5.0))


@triton.jit
def places(y_ptr, N: tl.constexpr):
    place = tl.program_id(0) * 100 + tl.program_id(1) * 10 + tl.program_id(2)
    at = (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(2) + tl.program_id(2)
    tl.store(y_ptr + at * N + tl.arange(0, N), tl.full([N], place, tl.int32))


@triton.jit
def early_return(x_ptr, y_ptr, n, TILE: tl.constexpr):
    if tl.program_id(0) >= n:
        return
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o_n, tl.load(x_ptr + o_n) * 2)


@triton.jit
def ragged_sum(x_ptr, length_ptr, y_ptr, n, TILE: tl.constexpr):
    row, o_n = tl.program_id(0), tl.arange(0, TILE)
    length = tl.load(length_ptr + row)
    total = tl.zeros([TILE], tl.float32)
    for start in range(0, length, TILE):
        total += tl.load(x_ptr + row * n + start + o_n, mask=start + o_n < length, other=0.0)
    tl.store(y_ptr + row, tl.sum(total, axis=0))


@triton.jit
def collatz(y_ptr, n):
    steps = 0
    while n > 1:
        n = tl.where(n % 2 == 0, n // 2, 3 * n + 1)
        steps += 1
    tl.store(y_ptr, steps)


@triton.jit
def scalar_stores(x_ptr, y_ptr):
    first = tl.load(x_ptr)
    tl.store(y_ptr, first)
    tl.store(y_ptr + 1, first + 1)
    tl.store(y_ptr + 2, first * 2)
    tl.store(y_ptr + 3, first * first)


@triton.jit
def running_sum(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.cumsum(tl.load(x_ptr + o_n), axis=0))


@triton.jit
def overlapping(x_ptr, y_ptr, STEP: tl.constexpr, N: tl.constexpr):
    o_n = tl.program_id(0) * STEP + tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.load(x_ptr + o_n) + 1)


@triton.jit
def overlapping_apart(x_ptr, y_ptr, STEP: tl.constexpr, N: tl.constexpr):
    o_n = tl.program_id(0) * STEP + tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.load(x_ptr + o_n) + tl.program_id(0))


@triton.jit
def every_second(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.load(x_ptr + 2 * o_n))


@triton.jit
def product(a_ptr, b_ptr, c_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    square = o_n[:, None] * N + o_n[None, :]
    tl.store(c_ptr + square, tl.dot(tl.load(a_ptr + square), tl.load(b_ptr + square)))


@triton.jit
def state_of_products(q_ptr, k_ptr, o_ptr, T, N: tl.constexpr):
    o_n, o_d = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    state = tl.zeros((N, N), tl.float32)
    for start in range(0, T, N):
        q = tl.load(q_ptr + (start + o_n) * N + o_d)
        k = tl.load(k_ptr + (start + o_n) * N + o_d)
        tl.store(o_ptr + (start + o_n) * N + o_d, tl.dot(q, state.to(q.dtype)))
        state += tl.dot(tl.trans(k), k)


def build(kernel, args, **constants):
    """Compile ``kernel`` for arguments like ``args``; nothing but ``constants`` is specialised."""
    names = [name for name in inspect.signature(kernel.fn).parameters if name not in constants]
    general = [2 if isinstance(value, int) else value for value in args]
    signature, _, _ = StageCall(kernel, (1,), dict(zip(names, general, strict=True)), {}, {}).specialized()
    return compiled(kernel, tuple(signature.items()), tuple(constants.items()))


@functools.cache
def compiled(kernel, signature, constants, chip="Ascend910B3", options=CompileOptions()):
    """A program, compiled once a session."""
    return compile_kernel(kernel, dict(signature), dict(constants), chip=chip, options=options)
