"""What sampling takes: order, running sums, the largest few, random bits."""

import numpy as np
import torch
import triton
import triton.language as tl

from .example import BF16, FP16, FP32, Example, ExampleLaunch, Maker, U, blank, stored


@triton.jit
def sort_rows(x_ptr, y_ptr, N: tl.constexpr, DOWN: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y_ptr + at, tl.sort(tl.load(x_ptr + at), descending=DOWN))


@triton.jit
def sort_tile(x_ptr, y_ptr, M: tl.constexpr, N: tl.constexpr, DOWN: tl.constexpr):
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(y_ptr + at, tl.sort(tl.load(x_ptr + at), descending=DOWN))


@triton.jit
def largest_few(x_ptr, y_ptr, N: tl.constexpr, K: tl.constexpr):
    row = tl.program_id(0)
    tl.store(y_ptr + row * K + tl.arange(0, K), tl.topk(tl.load(x_ptr + row * N + tl.arange(0, N)), K))


@triton.jit
def nucleus(p_ptr, kept_ptr, mass, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    ordered = tl.sort(tl.load(p_ptr + at), descending=True)
    before = tl.cumsum(ordered, axis=0) - ordered
    tl.store(kept_ptr + tl.program_id(0), tl.sum((before < mass).to(tl.int32), axis=0))


@triton.jit
def running_sum(x_ptr, y_ptr, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y_ptr + at, tl.cumsum(tl.load(x_ptr + at).to(tl.float32), axis=0).to(y_ptr.dtype.element_ty))


@triton.jit
def pick(x_ptr, index_ptr, y_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    index = tl.load(index_ptr + o_n, mask=o_n < n, other=0)
    tl.store(y_ptr + o_n, tl.load(x_ptr + index, mask=o_n < n), mask=o_n < n)


@triton.jit
def backwards(x_ptr, y_ptr, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(y_ptr + at, tl.flip(tl.load(x_ptr + at)))


@triton.jit
def dropout(x_ptr, y_ptr, n, p, seed, TILE: tl.constexpr):
    o_n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    x = tl.load(x_ptr + o_n, mask=o_n < n)
    tl.store(y_ptr + o_n, tl.where(tl.rand(seed, o_n) > p, x / (1 - p), 0.0), mask=o_n < n)


def ordered(rows: int, n: int, dtype: torch.dtype, down: bool) -> Example:
    x, y = torch.randn(rows, n).to(dtype), blank(rows, n, dtype=dtype)
    launch = ExampleLaunch(sort_rows, [x, y], dict(N=n, DOWN=down), (rows,))
    return Example([launch], [(y, x.sort(dim=1, descending=down).values, 0.0)])


def ordered_tile(rows: int, n: int, dtype: torch.dtype, down: bool) -> Example:
    """Rows of less than the 32 elements that the device sorts together."""
    x, y = torch.randn(rows, n).to(dtype), blank(rows, n, dtype=dtype)
    launch = ExampleLaunch(sort_tile, [x, y], dict(M=rows, N=n, DOWN=down), (1,))
    return Example([launch], [(y, x.sort(dim=1, descending=down).values, 0.0)])


def few(rows: int, n: int, k: int) -> Example:
    x, y = torch.randn(rows, n), blank(rows, k)
    return Example([ExampleLaunch(largest_few, [x, y], dict(N=n, K=k), (rows,))], [(y, x.topk(k, dim=1).values, 0.0)])


def kept(rows: int, n: int) -> Example:
    """Multiples of 1/4096 add up exactly."""
    p, count = torch.randint(0, 64, (rows, n)) / 4096, blank(rows, dtype=torch.int32)
    down = p.double().sort(dim=1, descending=True).values
    reference = (down.cumsum(1) - down < 0.25).sum(1)
    return Example([ExampleLaunch(nucleus, [p, count, 0.25], dict(N=n), (rows,))], [(count, reference, 0.0)])


def summed(rows: int, n: int, dtype: torch.dtype) -> Example:
    x, y = torch.randn(rows, n).to(dtype), blank(rows, n, dtype=dtype)
    reference = x.double().cumsum(1)
    bound = n * U * x.double().abs().cumsum(1) + stored(reference, dtype)
    return Example([ExampleLaunch(running_sum, [x, y], dict(N=n), (rows,))], [(y, reference, bound)])


def picked(n: int, dtype: torch.dtype, index_type: torch.dtype) -> Example:
    x, index, y = torch.randn(300).to(dtype), torch.randint(0, 300, (n,)).to(index_type), blank(n, dtype=dtype)
    return Example([ExampleLaunch(pick, [x, index, y, n], dict(TILE=256), (1,))], [(y, x[index.long()], 0.0)])


def turned(rows: int, n: int, dtype: torch.dtype) -> Example:
    x, y = (9 * torch.randn(rows, n)).to(dtype), blank(rows, n, dtype=dtype)
    return Example([ExampleLaunch(backwards, [x, y], dict(N=n), (rows,))], [(y, x.flip(1), 0.0)])


def philox(seed: int, places: np.ndarray) -> np.ndarray:
    """First word of Philox 4x32-10, with the *signed* high halves of the products, which is what is compiled.

    triton-ascend 3.2.0 turns ``umulhi`` into ``arith.mulsi_extended``: ``tl.rand`` differs from Triton's elsewhere.
    """
    c0, c1, c2, c3 = (np.zeros_like(places, np.uint32) for _ in range(4))
    c0 = places.astype(np.uint32)
    keys = np.array([seed, 0], np.uint32)

    def halves(factor: int, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        product = np.int64(np.uint32(factor).astype(np.int32)) * word.astype(np.int32).astype(np.int64)
        return (product >> 32).astype(np.uint32), product.astype(np.uint32)

    for _ in range(10):
        (high_a, low_a), (high_b, low_b) = halves(0xD2511F53, c0), halves(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high_b ^ c1 ^ keys[0], low_b, high_a ^ c3 ^ keys[1], low_a
        keys = keys + np.array([0x9E3779B9, 0xBB67AE85], np.uint32)
    return c0


def dropped(n: int, p: float, seed: int) -> Example:
    x, y = torch.randn(n), blank(n)
    word = philox(seed, np.arange(n)).astype(np.int32)
    uniform = np.where(word < 0, -word - 1, word).astype(np.float32) * np.float32(4.6566127342e-10)
    reference = torch.where(torch.from_numpy(uniform > np.float32(p)), x / (1 - p), 0.0)
    launch = ExampleLaunch(dropout, [x, y, n, p, seed], dict(TILE=256), (-(-n // 256),))
    return Example([launch], [(y, reference, 2 * U * reference.abs())])


EXAMPLES: dict[str, Maker] = {
    "sort-fp32-3x256": lambda: ordered(3, 256, FP32, False),
    "sort-fp16-2x1024-down": lambda: ordered(2, 1024, FP16, True),
    "sort-bf16-2x64": lambda: ordered(2, 64, BF16, False),
    "sort_tile-fp32-8x16": lambda: ordered_tile(8, 16, FP32, False),
    "sort_tile-fp16-4x8-down": lambda: ordered_tile(4, 8, FP16, True),
    "topk-fp32-2x32-4": lambda: few(2, 32, 4),
    "nucleus-fp32-3x128": lambda: kept(3, 128),
    "running_sum-fp32-2x4096": lambda: summed(2, 4096, FP32),
    "running_sum-fp16-2x128": lambda: summed(2, 128, FP16),
    "pick-fp32-int64-200": lambda: picked(200, FP32, torch.int64),
    "pick-fp16-int32-256": lambda: picked(256, FP16, torch.int32),
    "backwards-fp32-3x128": lambda: turned(3, 128, FP32),
    "backwards-int8-2x64": lambda: turned(2, 64, torch.int8),
    "dropout-fp32-1000": lambda: dropped(1000, 0.25, 12345),
}
