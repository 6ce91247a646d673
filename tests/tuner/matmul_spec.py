"""A spec of the cube core as somebody else would write it: ``y = relu(x @ w + bias)``, tuned over its tiles."""

import triton
import triton.language as tl

from cold_kernels.arguments import In, Out
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, PowerOf2, Switch


@triton.jit(do_not_specialize=["M"])
def dense_relu(
    x_ptr, w_ptr, bias_ptr, y_ptr, M, x_stride_M, w_stride_K, y_stride_M, N: tl.constexpr, K: tl.constexpr,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    columns = tl.cdiv(N, TILE_N)
    for tile in range(tl.program_id(0), tl.cdiv(M, TILE_M) * columns, tl.num_programs(0)):
        o_m = tile // columns * TILE_M + tl.arange(0, TILE_M)
        o_n = tile % columns * TILE_N + tl.arange(0, TILE_N)
        total = tl.zeros((TILE_M, TILE_N), tl.float32)
        for start in range(0, K, TILE_K):
            o_k = start + tl.arange(0, TILE_K)
            in_x, in_w = (o_m < M)[:, None] & (o_k < K)[None, :], (o_k < K)[:, None] & (o_n < N)[None, :]
            x = tl.load(x_ptr + o_m[:, None] * x_stride_M + o_k[None, :], mask=in_x, other=0.0)
            w = tl.load(w_ptr + o_k[:, None] * w_stride_K + o_n[None, :], mask=in_w, other=0.0)
            total = tl.dot(x, w, total)
        y = tl.maximum(total + tl.load(bias_ptr + o_n, mask=o_n < N, other=0.0)[None, :], 0.0)
        in_y = (o_m < M)[:, None] & (o_n < N)[None, :]
        tl.store(y_ptr + o_m[:, None] * y_stride_M + o_n[None, :], y.to(y_ptr.dtype.element_ty), mask=in_y)


def _reference(x, w, bias, **_):
    return {"y": (x.double() @ w.double() + bias.double()).clamp(min=0)}


def _tolerance(x, w, bias, **_):
    terms = x.double().abs() @ w.double().abs() + bias.double().abs()
    exact = (x.double() @ w.double() + bias.double()).abs()
    return {"y": x.shape[1] * 2.0**-23 * terms + 2.0**-10 * exact + 2.0**-24}


dense = KernelSpec(
    name="dense_relu",
    stages=(
        Stage(
            dense_relu, lambda c, s, cores: (min(triton.cdiv(s.M, c.TILE_M) * triton.cdiv(s.N, c.TILE_N), cores // 2),)
        ),
    ),
    args=dict(x=In("M K", "fp16"), w=In("K N", same_dtype="x"), bias=In("N", "fp32"), y=Out("M N", same_dtype="x")),
    space=dict(
        TILE_M=PowerOf2(16, 128, default=64),
        TILE_N=PowerOf2(32, 128, default=64),
        TILE_K=PowerOf2(32, 128, default=64),
        AUTO=AutoMultiBuffer(),
        UNIT=Switch("unit_flag", True),
        VECTOR_LOOP=Switch("tile_mix_vector_loop", 2),
    ),
    constraints=dict(accumulator=lambda c, s: c.TILE_M * c.TILE_N * 4 - 128 * 1024),
    group=("N", "K"),
    bucket=("M",),
    invariant=("TILE_K",),
    reference=_reference,
    tolerance=_tolerance,
    minimal_bytes=lambda x, w, bias, y: sum(t.numel() * t.element_size() for t in (x, w, bias, y)),
    typical="M=64 N=128 K=128 dtype=fp16",
    hard=("M=1 N=40 K=33", "M=70 N=96 K=128"),
    targets=("M=256 N=256 K=256",),
)
