"""Loads under masks that keep lanes inside of a tensor, which the compiler makes all the same."""

import torch
import triton
import triton.language as tl


@triton.jit
def own_rows(x_ptr, index_ptr, y_ptr, first, n, N: tl.constexpr):
    """A vocabulary in parts: indices of other parts give 0."""
    o_n = tl.arange(0, N)
    index = tl.load(index_ptr + o_n) - first
    own = (index >= 0) & (index < n)
    tl.store(y_ptr + o_n, tl.load(x_ptr + index, mask=own, other=0.0), mask=o_n < N)


@triton.jit
def unmasked_rows(x_ptr, y_ptr, rows, M: tl.constexpr, N: tl.constexpr):
    """The load has no mask, the store has one."""
    o_m, o_n = tl.program_id(0) * M + tl.arange(0, M), tl.arange(0, N)
    at = o_m[:, None] * N + o_n[None, :]
    tl.store(y_ptr + at, tl.load(x_ptr + at) + 1, mask=o_m[:, None] < rows)


@triton.jit
def transposed_part(x_ptr, y_ptr, rows, M: tl.constexpr, N: tl.constexpr):
    """Columns are beside each other in memory, and a mask keeps all of them or none."""
    o_m, o_n = tl.arange(0, M), tl.arange(0, N)
    at = o_m[:, None] + o_n[None, :] * M
    x = tl.load(x_ptr + at)
    tl.store(y_ptr + at, x, mask=(at < rows))


@triton.jit
def printed(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    x = tl.load(x_ptr + o_n) + 1
    tl.device_print("x", x)
    tl.store(y_ptr + o_n, x)


@triton.jit
def positive(x_ptr, y_ptr, n, N: tl.constexpr):
    """The store's mask depends on what was loaded: the compiler loads all of the tile and stores all of it."""
    o_n = tl.program_id(0) * N + tl.arange(0, N)
    x = tl.load(x_ptr + o_n, mask=o_n < n, other=0)
    tl.store(y_ptr + o_n, x, mask=x > 0)


@triton.jit
def added(x_ptr, y_ptr, n, M: tl.constexpr, N: tl.constexpr):
    """The compiler drops the mask of the addition where M is 1."""
    o_m, o_n, o_k = tl.program_id(0) * M + tl.arange(0, M), tl.arange(0, N), tl.arange(0, 32)
    at = o_m[None, :] * N + o_n[:, None]
    x = tl.load(x_ptr + at[:, :, None] * 32 + o_k[None, None, :], mask=o_m[None, :, None] < n, other=0)
    tl.atomic_add(y_ptr + at, tl.sum(x, axis=2), mask=o_m[None, :] < n)


@triton.jit
def whole_tile(x_ptr, y_ptr, N: tl.constexpr):
    o_n = tl.arange(0, N)
    tl.store(y_ptr + o_n, tl.load(x_ptr + o_n))


def numbers(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)
