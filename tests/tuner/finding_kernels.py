"""Small kernels that people suffer from, and beside each of them one that does the same without."""

import torch
import triton
import triton.language as tl

from cold_kernels.arguments import In, Out
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import PowerOf2


@triton.jit
def remainder(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.load(x_ptr + o) % 7)


@triton.jit
def remainder_by_hand(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    x = tl.load(x_ptr + o)
    tl.store(y_ptr + o, x - 7 * (x // 7))


@triton.jit
def quotient(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.load(x_ptr + o) // 7)


@triton.jit
def add_three(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.load(x_ptr + o) + 3)


@triton.jit
def add_three_narrow(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.load(x_ptr + o).to(tl.int32) + 3)


@triton.jit
def compare(x_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.where(tl.load(x_ptr + o) < 5, 1.0, 2.0))


@triton.jit
def gather(x_ptr, i_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    i = tl.load(i_ptr + o)
    tl.store(y_ptr + o, tl.load(x_ptr + i))


@triton.jit
def gather_from_table(x_ptr, i_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    tl.store(y_ptr + o, tl.gather(tl.load(x_ptr + o), tl.load(i_ptr + o), 0))


@triton.jit
def gather_rows(x_ptr, i_ptr, y_ptr, N: tl.constexpr, TILE: tl.constexpr):
    o_n, o = tl.arange(0, N), tl.arange(0, TILE)
    i = tl.load(i_ptr + o_n)
    x = tl.load(x_ptr + i[:, None] * TILE + o[None, :])
    tl.store(y_ptr + o_n[:, None] * TILE + o[None, :], x)


@triton.jit
def scatter(x_ptr, i_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    tl.store(y_ptr + tl.load(i_ptr + o), tl.load(x_ptr + o))


@triton.jit
def running_sum(x_ptr, y_ptr, N: tl.constexpr, M: tl.constexpr, AXIS: tl.constexpr):
    o = tl.arange(0, N)[:, None] * M + tl.arange(0, M)[None, :]
    tl.store(y_ptr + o, tl.cumsum(tl.load(x_ptr + o), AXIS))


@triton.jit
def total(x_ptr, y_ptr, TILE: tl.constexpr):
    tl.store(y_ptr, tl.sum(tl.load(x_ptr + tl.arange(0, TILE)), 0))


@triton.jit
def rows_of(x_ptr, y_ptr, ROW, N: tl.constexpr, M: tl.constexpr):
    o = tl.arange(0, N)[:, None] * ROW + tl.arange(0, M)[None, :]
    tl.store(y_ptr + o, tl.load(x_ptr + o) * 2.0)


@triton.jit
def exponential(x_ptr, y_ptr, n, TILE: tl.constexpr):
    for start in range(tl.program_id(0) * TILE, n, tl.num_programs(0) * TILE):
        o = start + tl.arange(0, TILE)
        tl.store(y_ptr + o, tl.exp(tl.load(x_ptr + o)))


@triton.jit
def either(a_ptr, b_ptr, m_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    m = tl.load(m_ptr + o) != 0
    a = tl.load(a_ptr + o, mask=m, other=0.0).to(tl.float32)
    b = tl.load(b_ptr + o, mask=m == 0, other=0.0).to(tl.float32)
    tl.store(y_ptr + o, tl.where(m, a, b))


@triton.jit
def either_whole(a_ptr, b_ptr, m_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    if tl.load(m_ptr) != 0:
        x = tl.load(a_ptr + o)
    else:
        x = tl.load(b_ptr + o)
    tl.store(y_ptr + o, x.to(tl.float32))


@triton.jit
def either_and_both(a_ptr, b_ptr, m_ptr, y_ptr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    m = tl.load(m_ptr + o) != 0
    a, b = tl.load(a_ptr + o).to(tl.float32), tl.load(b_ptr + o).to(tl.float32)
    tl.store(y_ptr + o, tl.where(m, a, b) + tl.exp(a) * tl.exp(b))


@triton.jit
def row_sum(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    x = tl.load(x_ptr + tl.program_id(0) * n + o, mask=o < n, other=0.0)
    tl.store(y_ptr + tl.program_id(0), tl.sum(x, 0))


@triton.jit
def _twice_fixed(x_ptr, y_ptr, x_stride_T, y_stride_T, T: tl.constexpr, N: tl.constexpr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    for row in range(tl.program_id(0), T, tl.num_programs(0)):
        tl.store(y_ptr + row * y_stride_T + o, tl.load(x_ptr + row * x_stride_T + o, mask=o < N) * 2, mask=o < N)


@triton.jit(do_not_specialize=["T"])
def _twice(x_ptr, y_ptr, x_stride_T, y_stride_T, T, N: tl.constexpr, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    for row in range(tl.program_id(0), T, tl.num_programs(0)):
        tl.store(y_ptr + row * y_stride_T + o, tl.load(x_ptr + row * x_stride_T + o, mask=o < N) * 2, mask=o < N)


def _spec(name, kernel, bucket=("T",), group=("N",)):
    return KernelSpec(
        name=name,
        stages=(Stage(kernel, lambda config, shape, cores: (min(shape.T, cores),)),),
        args=dict(x=In("T N", "fp32"), y=Out("T N", same_dtype="x")),
        space=dict(TILE=PowerOf2(256, 1024, default=512)),
        group=group,
        bucket=bucket,
        reference=lambda x, **_: {"y": x.double() * 2},
        tolerance=lambda x, **_: {"y": torch.zeros_like(x, dtype=torch.float64)},
        minimal_bytes=lambda x, y: 8 * x.numel(),
        typical="T=8 N=512",
        hard=(),
        targets=("T=8 N=512",),
        limits=dict(T=64),
    )


twice_fixed = _spec("twice_fixed", _twice_fixed)
twice = _spec("twice", _twice)
twice_somewhere = _spec("twice_somewhere", _twice_fixed, bucket=(), group=("T", "N"))


@triton.jit
def turned(a_ptr, b_ptr, c_ptr, N: tl.constexpr):
    o, p = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    a = tl.load(a_ptr + o * N + p)
    b = tl.load(b_ptr + p * N + o)
    tl.store(c_ptr + o * N + p, tl.dot(a, b))


@triton.jit
def between_products(a_ptr, b_ptr, c_ptr, N: tl.constexpr, TIMES: tl.constexpr):
    o, p = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    a, b = tl.load(a_ptr + o * N + p), tl.load(b_ptr + o * N + p)
    for _ in range(TIMES):
        a = tl.exp(0.1 * tl.dot(a, b)).to(tl.float16)
    tl.store(c_ptr + o * N + p, a)
