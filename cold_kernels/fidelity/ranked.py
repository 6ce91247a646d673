"""Kernels whose configurations are ranked on plausible chips beside our own: rows times a number of their own, and
tiles of short rows, both of which the model once priced wrong."""

import torch
import triton
import triton.language as tl

from ..arguments import In, Out
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PowerOf2


@triton.jit(do_not_specialize=["T"])
def _row_norm(x_ptr, y_ptr, T, x_stride_T, y_stride_T, N: tl.constexpr, ROWS: tl.constexpr):
    o_n = tl.arange(0, N)
    for first in range(tl.program_id(0) * ROWS, T, tl.num_programs(0) * ROWS):
        o_t = first + tl.arange(0, ROWS)
        mask = (o_t < T)[:, None]
        b_x = tl.load(x_ptr + o_t[:, None] * x_stride_T + o_n[None, :], mask=mask, other=0.0).to(tl.float32)
        b_r = tl.rsqrt(tl.sum(b_x * b_x, axis=1) / N + 1e-6)
        tl.store(
            y_ptr + o_t[:, None] * y_stride_T + o_n[None, :], (b_x * b_r[:, None]).to(y_ptr.dtype.element_ty), mask=mask
        )


@triton.jit(do_not_specialize=["T"])
def _short_rows(x_ptr, y_ptr, T, x_stride_T, y_stride_T, N: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    for first in range(tl.program_id(0) * ROWS, T, tl.num_programs(0) * ROWS):
        o_t = first + tl.arange(0, ROWS)
        for n in range(0, N, WIDTH):
            o_n = n + tl.arange(0, WIDTH)
            mask = (o_t < T)[:, None] & (o_n < N)[None, :]
            b_x = tl.load(x_ptr + o_t[:, None] * x_stride_T + o_n[None, :], mask=mask, other=0.0).to(tl.float32)
            b_y = tl.where(b_x <= 20.0, tl.log(1.0 + tl.exp(b_x)), b_x)
            tl.store(y_ptr + o_t[:, None] * y_stride_T + o_n[None, :], b_y.to(y_ptr.dtype.element_ty), mask=mask)


def _norm(x, **_):
    x = x.double()
    return {"y": x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6)}


def _close(x, **_):
    return {"y": 2.0**-9 * (x.double().abs() + 1)}


def _bytes(x, y):
    return x.numel() * x.element_size() + y.numel() * y.element_size()


def _grid(config, shape, cores):
    return (max(1, min(triton.cdiv(shape.T, config.ROWS), cores // config.PART)),)


ROWS = {"x": In("T N", "fp16 fp32"), "y": Out("T N", same_dtype="x")}

row_norm = KernelSpec(
    name="row_norm",
    stages=(Stage(_row_norm, _grid),),
    args=ROWS,
    space=dict(ROWS=PowerOf2(1, 32, default=8), PART=Choice(1, 2, 4, 8), AUTO=AutoMultiBuffer()),
    group=("N",),
    bucket=("T",),
    reference=_norm,
    tolerance=_close,
    minimal_bytes=_bytes,
    typical="T=64 N=512 dtype=fp16",
    hard=("T=5 N=64",),
    targets=("T=896 N=512",),
)
"""RMS norm of whole rows, some at a time."""

short_rows = KernelSpec(
    name="short_rows",
    stages=(Stage(_short_rows, _grid),),
    args=ROWS,
    space=dict(
        ROWS=PowerOf2(16, 512, default=64),
        WIDTH=PowerOf2(8, 64, default=8),
        PART=Choice(1, 2, 4),
        AUTO=AutoMultiBuffer(),
    ),
    group=("N",),
    bucket=("T",),
    reference=lambda x, **_: {"y": torch.nn.functional.softplus(x.double(), threshold=20)},
    tolerance=_close,
    minimal_bytes=_bytes,
    typical="T=256 N=32 dtype=fp16",
    hard=("T=5 N=12",),
    targets=("T=4096 N=32",),
)
"""An activation of rows of few elements, in tiles of many rows."""
