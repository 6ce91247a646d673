"""Sums across programs: in two launches, by atomic addition, by the last program to arrive; and a histogram."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP16, FP32, Example, ExampleLaunch, Maker, U, blank


@triton.jit
def partial_sums(x_ptr, partial_ptr, n, TILE: tl.constexpr):
    total = tl.zeros([TILE], tl.float32)
    for start in range(tl.program_id(0) * TILE, n, tl.num_programs(0) * TILE):
        o_n = start + tl.arange(0, TILE)
        total += tl.load(x_ptr + o_n, mask=o_n < n, other=0.0).to(tl.float32)
    tl.store(partial_ptr + tl.program_id(0), tl.sum(total, axis=0))


@triton.jit
def sum_of_partials(partial_ptr, y_ptr, programs, TILE: tl.constexpr):
    o_p = tl.arange(0, TILE)
    tl.store(y_ptr, tl.sum(tl.load(partial_ptr + o_p, mask=o_p < programs, other=0.0), axis=0))


@triton.jit
def atomic_sum(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    tl.atomic_add(y_ptr, tl.sum(tl.load(x_ptr + o_n, mask=o_n < n, other=0.0).to(tl.float32), axis=0))


@triton.jit
def atomic_columns(x_ptr, y_ptr, M, N, TILE_M: tl.constexpr, TILE_N: tl.constexpr):
    o_m, o_n = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M), tl.arange(0, TILE_N)
    mask = (o_m < M)[:, None] & (o_n < N)[None, :]
    x = tl.load(x_ptr + o_m[:, None] * N + o_n[None, :], mask=mask, other=0.0).to(tl.float32)
    tl.atomic_add(y_ptr + o_n, tl.sum(x, axis=0), mask=o_n < N)


@triton.jit
def atomic_largest(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.atomic_max(y_ptr + o_n, tl.load(x_ptr + tl.program_id(0) * N + o_n))


@triton.jit
def sum_by_the_last(x_ptr, partial_ptr, count_ptr, y_ptr, n, TILE: tl.constexpr, PROGRAMS: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    total = tl.sum(tl.load(x_ptr + o_n, mask=o_n < n, other=0.0).to(tl.float32), axis=0)
    tl.store(partial_ptr + tl.program_id(0), total)
    if tl.atomic_add(count_ptr, 1) == tl.num_programs(0) - 1:
        o_p = tl.arange(0, PROGRAMS)
        partial = tl.load(partial_ptr + o_p, mask=o_p < tl.num_programs(0), other=0.0)
        tl.store(y_ptr, tl.sum(partial, axis=0))


@triton.jit
def histogram(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    bins = tl.load(x_ptr + o_n, mask=o_n < n, other=0)
    tl.atomic_add(y_ptr + bins, tl.full([TILE], 1, tl.int32), mask=o_n < n)


def total(kernel, n: int, dtype: torch.dtype, tile: int, programs: int) -> Example:
    x = torch.randn(n).to(dtype)
    partial, y, count = blank(programs), blank(1), torch.zeros(1, dtype=torch.int32)
    if kernel is partial_sums:
        launches = [
            ExampleLaunch(partial_sums, [x, partial, n], dict(TILE=tile), (programs,)),
            ExampleLaunch(sum_of_partials, [partial, y, programs], dict(TILE=16), (1,)),
        ]
    elif kernel is atomic_sum:
        y = torch.zeros(1)
        launches = [ExampleLaunch(atomic_sum, [x, y, n], dict(TILE=tile), (programs,))]
    else:
        args = [x, partial, count, y, n]
        launches = [ExampleLaunch(sum_by_the_last, args, dict(TILE=tile, PROGRAMS=16), (programs,))]
    return Example(launches, [(y, x.double().sum()[None], n * U * x.double().abs().sum())])


def columns(m: int, n: int, dtype: torch.dtype) -> Example:
    x, y = torch.randn(m, n).to(dtype), torch.zeros(n)
    launch = ExampleLaunch(atomic_columns, [x, y, m, n], dict(TILE_M=16, TILE_N=128), (-(-m // 16),))
    return Example([launch], [(y, x.double().sum(0), m * U * x.double().abs().sum(0))])


def largest(dtype: torch.dtype) -> Example:
    x = (99 * torch.randn(5, 64)).to(dtype)
    y = torch.full((64,), -1000).to(dtype)
    return Example([ExampleLaunch(atomic_largest, [x, y], dict(N=64), (5,))], [(y, x.amax(0), 0.0)])


def counted(n: int) -> Example:
    x, y = torch.randint(0, 8, (n,), dtype=torch.int32), torch.zeros(8, dtype=torch.int32)
    launch = ExampleLaunch(histogram, [x, y, n], dict(TILE=128), (-(-n // 128),))
    return Example([launch], [(y, torch.bincount(x, minlength=8), 0.0)])


EXAMPLES: dict[str, Maker] = {
    **{
        f"two_stages-{name}-5000": lambda d=dtype: total(partial_sums, 5000, d, 256, 7)
        for name, dtype in FLOATS.items()
    },
    "two_stages-fp32-1": lambda: total(partial_sums, 1, FP32, 256, 2),
    "atomic-fp32-1000": lambda: total(atomic_sum, 1000, FP32, 256, 4),
    "atomic-fp16-1023": lambda: total(atomic_sum, 1023, FP16, 128, 8),
    "by_the_last-fp32-1000": lambda: total(sum_by_the_last, 1000, FP32, 128, 8),
    "by_the_last-bf16-900": lambda: total(sum_by_the_last, 900, BF16, 256, 4),
    "columns-fp32-50x100": lambda: columns(50, 100, FP32),
    "columns-fp16-32x128": lambda: columns(32, 128, FP16),
    **{f"largest-{name}": lambda d=d: largest(d) for name, d in (FLOATS | {"int32": torch.int32}).items()},
    "histogram-300": lambda: counted(300),
}
