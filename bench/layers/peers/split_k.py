"""Split-K with atomics: a buffer of zeros, partial sums added to it by many cores, then an expand; slices together."""

import torch
import triton
import triton.language as tl

from cold_kernels.arguments import In, Index, InOut, Out, Scalar
from cold_kernels.ascend.host_clock import TORCH
from cold_kernels.bgmv import reference
from cold_kernels.bgmv.b_tiles import repeated, row_sums
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, Choice, PowerOf2

from ..projections import Batch, Projection
from .scheme import Scheme, SchemeLaunch


@triton.jit(do_not_specialize=["N"])
def _zeros(y_ptr, N, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    for at in range(tl.program_id(0) * TILE, N, tl.num_programs(0) * TILE):
        tl.store(y_ptr + at + o, tl.zeros([TILE], tl.float32), mask=at + o < N)


@triton.jit(do_not_specialize=["T"])
def _shrink(
    x_ptr, a_ptr, y_ptr, idx_ptr, scale, T,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R, y_stride_T, y_stride_S,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, SPLIT_K: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    TILE_H: tl.constexpr = TILE // R
    SPAN: tl.constexpr = (H + SPLIT_K * TILE_H - 1) // (SPLIT_K * TILE_H) * TILE_H
    o_r = tl.arange(0, R)
    for item in range(tl.program_id(0), T * S * SPLIT_K, tl.num_programs(0)):
        row = tl.cast(item // (S * SPLIT_K), tl.int64)
        s = tl.cast(item // SPLIT_K % S, tl.int64)
        first = item % SPLIT_K * SPAN
        slot = tl.load(idx_ptr + row)
        if (slot >= 0) & (first < H):
            b_sum = tl.zeros([R, TILE_H], tl.float32)
            for h in range(first, tl.minimum(first + SPAN, H), TILE_H):
                o_h = h + tl.arange(0, TILE_H)
                b_x = tl.load(x_ptr + row * x_stride_T + o_h, mask=o_h < H, other=0.0)
                p_a = a_ptr + slot * a_stride_L + s * a_stride_S
                b_a = tl.load(p_a + o_r[:, None] * a_stride_R + o_h[None, :], mask=(o_h < H)[None, :], other=0.0)
                b_sum += b_a.to(tl.float32) * b_x.to(tl.float32)[None, :]
            p_y = y_ptr + row * y_stride_T + s * y_stride_S
            tl.atomic_add(p_y + o_r, tl.sum(b_sum, axis=1) * scale)


@triton.jit(do_not_specialize=["T"])
def _expand(
    b_ptr, x_ptr, y_ptr, idx_ptr, starts_ptr, widest, T, D,
    x_stride_T, x_stride_S, b_stride_L, b_stride_D, y_stride_T,
    R: tl.constexpr, S: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    TILE_D: tl.constexpr = TILE // R
    WIDTH: tl.constexpr = 64 if R < 64 else R
    one = tl.where(T > 0, 1.0, 0.0)
    o_r = tl.arange(0, R)
    tiles = tl.cdiv(widest, TILE_D)
    for item in range(tl.program_id(0), T * S * tiles, tl.num_programs(0)):
        row = tl.cast(item // (S * tiles), tl.int64)
        s = item // tiles % S
        slot = tl.load(idx_ptr + row)
        end = D
        if s + 1 < S:
            end = tl.load(starts_ptr + s + 1).to(tl.int32)
        d = tl.load(starts_ptr + s).to(tl.int32) + item % tiles * TILE_D
        if (slot >= 0) & (d < end):
            o_d = d + tl.arange(0, TILE_D)
            o_flat = tl.arange(0, TILE)
            b_x = tl.load(x_ptr + row * x_stride_T + s * x_stride_S + o_r)
            p_b = b_ptr + slot * b_stride_L + tl.cast(d, tl.int64) * b_stride_D
            b_b = tl.load(p_b + o_flat, mask=o_flat < (end - d) * R, other=0.0)
            b_rows = tl.reshape(b_b, [TILE // WIDTH, WIDTH]).to(tl.float32)
            b_y = row_sums(b_rows * repeated(b_x, R, WIDTH)[None, :], one, R)
            p_y = y_ptr + row * y_stride_T + o_d
            b_y += tl.load(p_y, mask=o_d < end, other=0.0).to(tl.float32)
            tl.store(p_y, b_y.to(y_ptr.dtype.element_ty), mask=o_d < end)


zeros = KernelSpec(
    name="zeros",
    stages=(Stage(_zeros, lambda c, s, cores: (min(triton.cdiv(s.N, c.TILE), cores),)),),
    args=dict(y=Out("N", "fp32")),
    space=dict(TILE=PowerOf2(1024, 16384, default=4096)),
    group=("N",),
    bucket=(),
    reference=lambda y, **_: {"y": 0 * y.double().nan_to_num()},
    tolerance=lambda y, **_: {"y": 0 * y.double().nan_to_num()},
    minimal_bytes=lambda y, **_: y.numel() * 4,
    typical="N=1024",
    hard=("N=5000",),
    targets=(),
)


def _low(x, a, y_before, idx, scale=1.0, **_):
    """Each slice's `reference.shrink`, added: [T, S, R]."""
    parts = [reference.shrink(x, a[:, s], idx, scale)["y"] for s in range(a.shape[1])]
    return {"y": y_before.double() + torch.stack(parts, 1)}


def _low_tolerance(x, a, y_before, idx, scale=1.0, **_):
    parts = [reference.shrink_tolerance(x, a[:, s], idx, scale)["y"] for s in range(a.shape[1])]
    return {"y": torch.stack(parts, 1) + y_before.double().abs() * 2**-20}


def _by_slice(function, b, x, y_before, idx, starts):
    """What ``function`` gives for each slice's columns, side by side."""
    edges = [*starts.tolist(), b.shape[1]]
    parts = [
        function(b[:, start:end], x[:, s], y_before[:, start:end], idx)["y"]
        for s, (start, end) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    return {"y": torch.cat(parts, 1)}


split_k_shrink = KernelSpec(
    name="split_k_shrink",
    stages=(Stage(_shrink, lambda c, s, cores: (min(s.T * s.S * c.SPLIT_K, cores),)),),
    args=dict(
        x=In("T H", "fp16 bf16"),
        a=In("L S R H", same_dtype="x"),
        y=InOut("T S R", "fp32"),
        idx=Index("T", "int64", into="L", none=-1),
        scale=Scalar("fp32", default=0.5),
    ),
    space=dict(SPLIT_K=Choice(1, 2, 4, 8, 16, 32, default=8), TILE=Choice(8192), AUTO=AutoMultiBuffer()),
    group=("H", "R", "S"),
    bucket=("T",),
    reference=_low,
    tolerance=_low_tolerance,
    minimal_bytes=lambda x, a, y, idx, **_: reference.shrink_bytes(x, a, idx, y),
    typical="T=4 L=4 H=4096 R=16 S=1",
    hard=("T=5 H=1000 R=8 S=3 idx=-1/last/0/0/-1",),
    targets=(),
)
sliced_expand = KernelSpec(
    name="sliced_expand",
    stages=(Stage(_expand, lambda c, s, cores: (min(s.T * triton.cdiv(s.D, c.TILE // s.R), cores),)),),
    args=dict(
        b=In("L D R", "fp16 bf16"),
        x=In("T S R", "fp32"),
        y=InOut("T D", same_dtype="b"),
        idx=Index("T", "int64", into="L", none=-1),
        starts=Index("S", "int64", into="D"),
        widest=Scalar("i32", default=4096),
    ),
    space=dict(TILE=PowerOf2(1024, 8192, default=8192), AUTO=AutoMultiBuffer()),
    group=("D", "R", "S"),
    bucket=("T",),
    reference=lambda b, x, y_before, idx, starts, **_: _by_slice(reference.expand, b, x, y_before, idx, starts),
    tolerance=lambda b, x, y_before, idx, starts, **_: _by_slice(
        reference.expand_tolerance, b, x, y_before, idx, starts
    ),
    minimal_bytes=lambda x, b, y, idx, **_: reference.expand_bytes(b, x.flatten(1), y, idx),
    typical="T=4 L=4 D=4096 R=16 S=1 widest=4096",
    hard=(
        "T=5 D=900 R=8 S=3 widest=500 idx=-1/last/0/0/-1 starts=0/500/700",
        "T=3 D=300 R=128 S=1 widest=300",
    ),
    targets=(),
)


def launches(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """The buffer's zeros, the shrink and the expand of all slices."""
    words = f"{batch.words} R={rank} S={len(projection.widths)}"
    starts, wide = "/".join(map(str, projection.starts)), f"widest={max(projection.widths)}"
    splits = [dict(SPLIT_K=split) for split in (1, 2, 4, 8, 16, 32)]
    tiles = [dict(TILE=tile) for tile in (2048, 4096, 8192)]
    return [
        SchemeLaunch.of(zeros, f"N={batch.rows * len(projection.widths) * rank}", {}, launcher=TORCH),
        SchemeLaunch.of(split_k_shrink, f"{words} H={projection.hidden} dtype={dtype}", *splits),
        SchemeLaunch.of(sliced_expand, f"{words} {wide} D={projection.outputs} starts={starts} dtype={dtype}", *tiles),
    ]


SCHEME = Scheme(
    "split-K with atomics",
    "vLLM 0.13 and later, vllm/lora/ops/triton_ops/lora_shrink_op.py and lora_expand_op.py (Apache-2.0)",
    launches,
    longest=0,
)
