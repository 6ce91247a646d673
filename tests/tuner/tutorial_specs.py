"""Two kernels that everybody writes first, with all that can be tuned of them: their spaces are in `spaces/`.

A softmax by rows with a running maximum, and a matrix product whose tiles are visited group by group.
"""

import triton
import triton.language as tl

from cold_kernels.arguments import In, Out
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, Choice, PowerOf2


@triton.jit(do_not_specialize=["M", "N"])
def softmax_rows(x_ptr, y_ptr, M, N, x_stride_M, y_stride_M, ROWS: tl.constexpr, TILE: tl.constexpr):
    for first in range(tl.program_id(0) * ROWS, M, tl.num_programs(0) * ROWS):
        o_m = first + tl.arange(0, ROWS)
        largest = tl.full((ROWS,), float("-inf"), tl.float32)
        total = tl.zeros((ROWS,), tl.float32)
        for start in range(0, N, TILE):
            o_n = start + tl.arange(0, TILE)
            inside = (o_m < M)[:, None] & (o_n < N)[None, :]
            x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_n[None, :], mask=inside, other=-3.0e38).to(tl.float32)
            now = tl.maximum(largest, tl.max(x, axis=1))
            total = total * tl.exp(largest - now) + tl.sum(tl.exp(x - now[:, None]), axis=1)
            largest = now
        for start in range(0, N, TILE):
            o_n = start + tl.arange(0, TILE)
            inside = (o_m < M)[:, None] & (o_n < N)[None, :]
            x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_n[None, :], mask=inside, other=0.0).to(tl.float32)
            y = tl.exp(x - largest[:, None]) / total[:, None]
            tl.store(y_ptr + o_m[:, None] * y_stride_M + o_n[None, :], y.to(y_ptr.dtype.element_ty), mask=inside)


def _softmax_tolerance(x, **_):
    """Rounding of the stored type, and of the exponent's argument and each sum, relative to the result."""
    exact = x.double().softmax(1)
    spread = x.double().amax(1, keepdim=True) - x.double().amin(1, keepdim=True)
    return {"y": exact * ((2 * spread + 2 * x.shape[1]) * 2.0**-24 + 2.0**-10) + 2.0**-24}


softmax = KernelSpec(
    name="softmax_rows",
    stages=(Stage(softmax_rows, lambda c, s, cores: (min(triton.cdiv(s.M, c.ROWS), c.PROGRAMS),)),),
    args=dict(x=In("M N", "fp16"), y=Out("M N", same_dtype="x")),
    space=dict(
        ROWS=PowerOf2(1, 16, default=1),
        TILE=PowerOf2(128, 4096, default=1024),
        PROGRAMS=Choice(8, 16, 24, 32, 40, 80, default=40),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(elements_of_a_tile=lambda c, s: c.ROWS * c.TILE - 8192),
    group=("N",),
    bucket=("M",),
    invariant=("TILE",),
    reference=lambda x, **_: {"y": x.double().softmax(1)},
    tolerance=_softmax_tolerance,
    minimal_bytes=lambda x, y: 2 * (x.numel() + y.numel()),
    typical="M=256 N=2048",
    hard=("M=3 N=1000",),
    targets=("M=256 N=2048",),
)


@triton.jit(do_not_specialize=["M"])
def matmul_grouped(
    x_ptr, w_ptr, y_ptr, M, x_stride_M, w_stride_K, y_stride_M, N: tl.constexpr, K: tl.constexpr,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    rows, columns = tl.cdiv(M, TILE_M), tl.cdiv(N, TILE_N)
    for tile in range(tl.program_id(0), rows * columns, tl.num_programs(0)):
        first = tile // (GROUP * columns) * GROUP
        height = tl.minimum(rows - first, GROUP)
        within = tile % (GROUP * columns)
        o_m = (first + within % height) * TILE_M + tl.arange(0, TILE_M)
        o_n = within // height * TILE_N + tl.arange(0, TILE_N)
        total = tl.zeros((TILE_M, TILE_N), tl.float32)
        for start in range(0, K, TILE_K):
            o_k = start + tl.arange(0, TILE_K)
            in_x, in_w = (o_m < M)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
            x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_k[None, :], mask=in_x, other=0.0)
            w = tl.load(w_ptr + o_k[:, None] * w_stride_K + o_n[None, :], mask=in_w, other=0.0)
            total = tl.dot(x, w, total)
        in_y = (o_m < M)[:, None] & (o_n < N)[None, :]
        tl.store(y_ptr + o_m[:, None] * y_stride_M + o_n[None, :], total.to(y_ptr.dtype.element_ty), mask=in_y)


def _matmul_tolerance(x, w, **_):
    terms = x.double().abs() @ w.double().abs()
    return {"y": x.shape[1] * 2.0**-23 * terms + 2.0**-10 * (x.double() @ w.double()).abs() + 2.0**-24}


matmul = KernelSpec(
    name="matmul_grouped",
    stages=(
        Stage(
            matmul_grouped,
            lambda c, s, cores: (min(triton.cdiv(s.M, c.TILE_M) * triton.cdiv(s.N, c.TILE_N), cores // 2),),
        ),
    ),
    args=dict(x=In("M K", "fp16"), w=In("K N", same_dtype="x"), y=Out("M N", same_dtype="x")),
    space=dict(
        TILE_M=PowerOf2(16, 256, default=64),
        TILE_N=PowerOf2(32, 256, default=64),
        TILE_K=PowerOf2(32, 256, default=64),
        GROUP=Choice(1, 4),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(accumulator=lambda c, s: c.TILE_M * c.TILE_N * 4 - 128 * 1024),
    group=("N", "K"),
    bucket=("M",),
    invariant=("TILE_K",),
    reference=lambda x, w, **_: {"y": x.double() @ w.double()},
    tolerance=_matmul_tolerance,
    minimal_bytes=lambda x, w, y: 2 * (x.numel() + w.numel() + y.numel()),
    typical="M=384 N=512 K=512",
    hard=("M=17 N=40 K=33",),
    targets=("M=384 N=512 K=512",),
)
