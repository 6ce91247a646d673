"""Embedding: rows of a table by index, one or several a program, and their gradient by atomic addition."""

import torch
import triton
import triton.language as tl

from .example import BF16, FLOATS, FP32, Example, ExampleLaunch, Maker, U, blank


@triton.jit
def embed(table_ptr, index_ptr, y_ptr, D, TILE: tl.constexpr):
    row, o_d = tl.program_id(0), tl.program_id(1) * TILE + tl.arange(0, TILE)
    index = tl.load(index_ptr + row)
    x = tl.load(table_ptr + index * D + o_d, mask=o_d < D)
    tl.store(y_ptr + row * D + o_d, x, mask=o_d < D)


@triton.jit
def embed_rows(table_ptr, index_ptr, y_ptr, rows, padding, D: tl.constexpr, TILE: tl.constexpr):
    o_r, o_d = tl.program_id(0) * TILE + tl.arange(0, TILE), tl.arange(0, D)
    mask = o_r < rows
    index = tl.load(index_ptr + o_r, mask=mask, other=0)
    x = tl.load(table_ptr + index[:, None] * D + o_d[None, :], mask=mask[:, None], other=0.0)
    x = tl.where((index == padding)[:, None], 0.0, x)
    tl.store(y_ptr + o_r[:, None] * D + o_d[None, :], x.to(y_ptr.dtype.element_ty), mask=mask[:, None])


@triton.jit
def embed_gradient(gradient_ptr, index_ptr, table_ptr, D: tl.constexpr):
    row, o_d = tl.program_id(0), tl.arange(0, D)
    index = tl.load(index_ptr + row)
    tl.atomic_add(table_ptr + index * D + o_d, tl.load(gradient_ptr + row * D + o_d).to(tl.float32))


def by_row(entries: int, rows: int, d: int, dtype: torch.dtype, index_type: torch.dtype) -> Example:
    table, index = torch.randn(entries, d).to(dtype), torch.randint(0, entries, (rows,)).to(index_type)
    y = blank(rows, d, dtype=dtype)
    launch = ExampleLaunch(embed, [table, index, y, d], dict(TILE=64), (rows, -(-d // 64)))
    return Example([launch], [(y, table[index.long()], 0.0)])


def by_rows(entries: int, rows: int, d: int, dtype: torch.dtype, index_type: torch.dtype) -> Example:
    table, index = torch.randn(entries, d).to(dtype), torch.randint(0, entries, (rows,)).to(index_type)
    index[rows // 2] = 3
    y, reference = blank(rows, d, dtype=dtype), table[index.long()].masked_fill((index == 3)[:, None], 0)
    launch = ExampleLaunch(embed_rows, [table, index, y, rows, 3], dict(D=d, TILE=8), (-(-rows // 8),))
    return Example([launch], [(y, reference, 0.0)])


def backwards(entries: int, rows: int, d: int, dtype: torch.dtype) -> Example:
    gradient, index = torch.randn(rows, d).to(dtype), torch.randint(0, entries, (rows,))
    table, exact = torch.zeros(entries, d), torch.zeros(entries, d, dtype=torch.float64)
    sizes = exact.clone().index_add_(0, index, gradient.double().abs())
    reference = exact.index_add_(0, index, gradient.double())
    launch = ExampleLaunch(embed_gradient, [gradient, index, table], dict(D=d), (rows,))
    return Example([launch], [(table, reference, rows * U * sizes)])


EXAMPLES: dict[str, Maker] = {
    **{f"embed-{name}-int64-7x96": lambda d=d: by_row(20, 7, 96, d, torch.int64) for name, d in FLOATS.items()},
    "embed-fp32-int32-5x77": lambda: by_row(11, 5, 77, FP32, torch.int32),
    "embed_rows-fp32-int32-13x64": lambda: by_rows(50, 13, 64, FP32, torch.int32),
    "embed_rows-bf16-int64-16x128": lambda: by_rows(50, 16, 128, BF16, torch.int64),
    "gradient-fp32-20x64": lambda: backwards(6, 20, 64, FP32),
    "gradient-bf16-20x64": lambda: backwards(6, 20, 64, BF16),
}
