"""Matrix products: plain, of a transposed weight, batched, of groups of rows, of int8 with scales, with an epilogue."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl

from .example import BF16, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored


@triton.jit
def matmul(
    a_ptr, b_ptr, c_ptr, M, N, K, stride_a, stride_b, stride_c,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    total = tl.zeros((TILE_M, TILE_N), tl.float32)
    for start in range(0, K, TILE_K):
        o_k = start + tl.arange(0, TILE_K)
        in_a, in_b = (o_m < M)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
        a = tl.load(a_ptr + o_m[:, None] * stride_a + o_k[None, :], mask=in_a, other=0.0)
        b = tl.load(b_ptr + o_k[:, None] * stride_b + o_n[None, :], mask=in_b, other=0.0)
        total = tl.dot(a, b, total)
    in_c = (o_m < M)[:, None] & (o_n < N)[None, :]
    tl.store(c_ptr + o_m[:, None] * stride_c + o_n[None, :], total.to(c_ptr.dtype.element_ty), mask=in_c)


@triton.jit
def linear(
    x_ptr, w_ptr, y_ptr, M, N, K, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr
):  # fmt: skip
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    total = tl.zeros((TILE_M, TILE_N), tl.float32)
    for start in range(0, K, TILE_K):
        o_k = start + tl.arange(0, TILE_K)
        in_x, in_w = (o_m < M)[:, None] & (o_k < K)[None, :], (o_n < N)[:, None] & (o_k < K)[None, :]
        x = tl.load(x_ptr + o_m[:, None] * K + o_k[None, :], mask=in_x, other=0.0)
        w = tl.load(w_ptr + o_n[:, None] * K + o_k[None, :], mask=in_w, other=0.0)
        total = tl.dot(x, tl.trans(w), total)
    tl.store(y_ptr + o_m[:, None] * N + o_n[None, :], total, mask=(o_m < M)[:, None] & (o_n < N)[None, :])


@triton.jit
def matmul_batched(
    a_ptr, b_ptr, c_ptr, M, N, K, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr
):  # fmt: skip
    batch = tl.program_id(2)
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    total = tl.zeros((TILE_M, TILE_N), tl.float32)
    for start in range(0, K, TILE_K):
        o_k = start + tl.arange(0, TILE_K)
        in_a, in_b = (o_m < M)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
        a = tl.load(a_ptr + batch * M * K + o_m[:, None] * K + o_k[None, :], mask=in_a, other=0.0)
        b = tl.load(b_ptr + batch * K * N + o_k[:, None] * N + o_n[None, :], mask=in_b, other=0.0)
        total += tl.dot(a, b)
    in_c = (o_m < M)[:, None] & (o_n < N)[None, :]
    tl.store(c_ptr + batch * M * N + o_m[:, None] * N + o_n[None, :], total, mask=in_c)


@triton.jit
def matmul_grouped(
    a_ptr, b_ptr, c_ptr, starts_ptr, N, K, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr
):  # fmt: skip
    group = tl.program_id(0)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    first, last = tl.load(starts_ptr + group), tl.load(starts_ptr + group + 1)
    for row in range(first, last, TILE_M):
        o_m = row + tl.arange(0, TILE_M)
        total = tl.zeros((TILE_M, TILE_N), tl.float32)
        for start in range(0, K, TILE_K):
            o_k = start + tl.arange(0, TILE_K)
            in_a, in_b = (o_m < last)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
            a = tl.load(a_ptr + o_m[:, None] * K + o_k[None, :], mask=in_a, other=0.0)
            b = tl.load(b_ptr + group * K * N + o_k[:, None] * N + o_n[None, :], mask=in_b, other=0.0)
            total = tl.dot(a, b, total)
        in_c = (o_m < last)[:, None] & (o_n < N)[None, :]
        tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], total.to(c_ptr.dtype.element_ty), mask=in_c)


@triton.jit
def matmul_int8(
    a_ptr, b_ptr, scale_a_ptr, scale_b_ptr, c_ptr, M, N, K,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    total = tl.zeros((TILE_M, TILE_N), tl.int32)
    for start in range(0, K, TILE_K):
        o_k = start + tl.arange(0, TILE_K)
        a = tl.load(a_ptr + o_m[:, None] * K + o_k[None, :], mask=(o_m < M)[:, None] & (o_k < K)[None, :], other=0)
        b = tl.load(b_ptr + o_k[:, None] * N + o_n[None, :], mask=(o_k < K)[:, None] & (o_n < N)[None, :], other=0)
        total = tl.dot(a, b, total, out_dtype=tl.int32)
    scale_a = tl.load(scale_a_ptr + o_m, mask=o_m < M, other=0.0)
    scale_b = tl.load(scale_b_ptr + o_n, mask=o_n < N, other=0.0)
    y = total.to(tl.float32) * scale_a[:, None] * scale_b[None, :]
    in_c = (o_m < M)[:, None] & (o_n < N)[None, :]
    tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], y.to(c_ptr.dtype.element_ty), mask=in_c)


@triton.jit
def matmul_bias_relu(
    a_ptr, b_ptr, bias_ptr, c_ptr, M, N, K, TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr
):  # fmt: skip
    o_m = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    o_n = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    total = tl.zeros((TILE_M, TILE_N), tl.float32)
    for start in range(0, K, TILE_K):
        o_k = start + tl.arange(0, TILE_K)
        in_a, in_b = (o_m < M)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
        a = tl.load(a_ptr + o_m[:, None] * K + o_k[None, :], mask=in_a, other=0.0)
        b = tl.load(b_ptr + o_k[:, None] * N + o_n[None, :], mask=in_b, other=0.0)
        total = tl.dot(a, b, total)
    y = total + tl.load(bias_ptr + o_n, mask=o_n < N, other=0.0)[None, :]
    in_c = (o_m < M)[:, None] & (o_n < N)[None, :]
    tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], tl.maximum(y, 0.0).to(c_ptr.dtype.element_ty), mask=in_c)


@triton.jit
def matmul_bias_start(a_ptr, b_ptr, bias_ptr, c_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    o_m, o_n, o_k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    a = tl.load(a_ptr + o_m[:, None] * K + o_k[None, :])
    b = tl.load(b_ptr + o_k[:, None] * N + o_n[None, :])
    tl.store(c_ptr + o_m[:, None] * N + o_n[None, :], tl.dot(a, b) + tl.load(bias_ptr + o_n)[None, :])


def tiles(m: int, n: int, k: int) -> dict[str, int]:
    return dict(TILE_M=m, TILE_N=n, TILE_K=k)


def programs(rows: int, columns: int, constants: dict[str, int]) -> tuple[int, int]:
    return -(-rows // constants["TILE_M"]), -(-columns // constants["TILE_N"])


def product(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``a @ b`` in float64, and how far sums in fp32 may be off, in any order."""
    return a.double() @ b.double(), (a.shape[-1] - 1) * U * (a.double().abs() @ b.double().abs())


def operands(m: int, n: int, k: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)


def plain(m: int, n: int, k: int, dtype: torch.dtype, constants: dict, strides: int = 0) -> Example:
    a, b = operands(m, n, k, dtype)
    wide_a, wide_b = torch.randn(m, k + strides).to(dtype), torch.randn(k, n + strides).to(dtype)
    wide_a[:, :k], wide_b[:, :n] = a, b
    c = blank(m, n, dtype=dtype)
    reference, bound = product(a, b)
    args = [wide_a, wide_b, c, m, n, k, wide_a.stride(0), wide_b.stride(0), n]
    launch = ExampleLaunch(matmul, args, constants, programs(m, n, constants))
    return Example([launch], [(c, reference, bound + stored(reference, dtype))])


def of_weight(m: int, n: int, k: int, dtype: torch.dtype, constants: dict) -> Example:
    x, w = torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype)
    y = blank(m, n)
    launch = ExampleLaunch(linear, [x, w, y, m, n, k], constants, programs(m, n, constants))
    return Example([launch], [(y, *product(x, w.T))])


def batched(batch: int, m: int, n: int, k: int, dtype: torch.dtype, constants: dict) -> Example:
    a, b = torch.randn(batch, m, k).to(dtype), torch.randn(batch, k, n).to(dtype)
    c = blank(batch, m, n)
    grid = (*programs(m, n, constants), batch)
    return Example([ExampleLaunch(matmul_batched, [a, b, c, m, n, k], constants, grid)], [(c, *product(a, b))])


def grouped(sizes: Sequence[int], n: int, k: int, dtype: torch.dtype, constants: dict) -> Example:
    starts = torch.tensor([0, *torch.tensor(sizes).cumsum(0)], dtype=torch.int32)
    a, b = torch.randn(sum(sizes), k).to(dtype), torch.randn(len(sizes), k, n).to(dtype)
    c = blank(sum(sizes), n, dtype=dtype)
    parts = [product(*pair) for pair in zip(a.split(sizes), b, strict=True)]
    reference, bound = (torch.cat(part) for part in zip(*parts, strict=True))
    grid = (len(sizes), programs(1, n, constants)[1])
    launch = ExampleLaunch(matmul_grouped, [a, b, c, starts, n, k], constants, grid)
    return Example([launch], [(c, reference, bound + stored(reference, dtype))])


def quantized(m: int, n: int, k: int, constants: dict) -> Example:
    a, b = (torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((m, k), (k, n)))
    scale_a, scale_b = 0.01 * torch.rand(m), 0.01 * torch.rand(n)
    c = blank(m, n, dtype=FP16)
    reference = (a.double() @ b.double()) * scale_a.double()[:, None] * scale_b.double()
    launch = ExampleLaunch(
        matmul_int8, [a, b, scale_a, scale_b, c, m, n, k], constants, programs(m, n, constants)
    )  # sums are exact; then a conversion and two products are rounded
    return Example([launch], [(c, reference, 3 * U * reference.abs() + stored(reference, FP16))])


def with_epilogue(m: int, n: int, k: int, dtype: torch.dtype, constants: dict) -> Example:
    (a, b), bias, c = operands(m, n, k, dtype), torch.randn(n), blank(m, n, dtype=dtype)
    reference, bound = product(a, b)
    biased = reference + bias.double()
    bound = bound + U * biased.abs() + stored(biased, dtype)
    launch = ExampleLaunch(matmul_bias_relu, [a, b, bias, c, m, n, k], constants, programs(m, n, constants))
    return Example([launch], [(c, biased.clamp(min=0), bound)])


def from_bias(m: int, n: int, k: int, dtype: torch.dtype) -> Example:
    (a, b), bias, c = operands(m, n, k, dtype), torch.randn(n), blank(m, n)
    reference, bound = product(a, b)
    reference = reference + bias.double()
    launch = ExampleLaunch(matmul_bias_start, [a, b, bias, c], dict(M=m, N=n, K=k), (1,))
    return Example([launch], [(c, reference, bound + k * U * bias.double().abs() + U * reference.abs())])


EXAMPLES: dict[str, Maker] = {
    "matmul-fp16-200x150x100": lambda: plain(200, 150, 100, FP16, tiles(128, 128, 64)),
    "matmul-bf16-64x64x256-strided": lambda: plain(64, 64, 256, BF16, tiles(32, 64, 128), strides=24),
    "matmul-fp32-50x70x90": lambda: plain(50, 70, 90, FP32, tiles(64, 64, 32)),
    "matmul-fp16-128x256x512": lambda: plain(128, 256, 512, FP16, tiles(128, 256, 256)),
    "linear-bf16-100x90x130": lambda: of_weight(100, 90, 130, BF16, tiles(64, 64, 64)),
    "linear-fp32-33x48x64": lambda: of_weight(33, 48, 64, FP32, tiles(64, 64, 32)),
    "matmul_batched-fp16-3x50x90x70": lambda: batched(3, 50, 90, 70, FP16, tiles(32, 64, 32)),
    "matmul_grouped-fp16": lambda: grouped([10, 0, 65, 25], 90, 70, FP16, tiles(32, 64, 32)),
    "matmul_int8-128x64x192": lambda: quantized(128, 64, 192, tiles(64, 64, 64)),
    "matmul_int8-50x70x90": lambda: quantized(50, 70, 90, tiles(64, 64, 64)),
    "matmul_bias_relu-fp16-200x150x100": lambda: with_epilogue(200, 150, 100, FP16, tiles(64, 64, 64)),
    "matmul_bias_relu-bf16-32x64x64": lambda: with_epilogue(32, 64, 64, BF16, tiles(32, 64, 32)),
    "matmul_bias_start-fp16-64x64x64": lambda: from_bias(64, 64, 64, FP16),
}
