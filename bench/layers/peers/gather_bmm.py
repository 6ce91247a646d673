"""The weights gathered for every row, then batched matrix products: three times the bytes, and a copy in memory."""

from collections import Counter

import triton
import triton.language as tl

from cold_kernels import tables
from cold_kernels.arguments import In, Index, Out
from cold_kernels.ascend.host_clock import TORCH
from cold_kernels.bgmv.expand import bgmv_expand
from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, PipelineDepth, PowerOf2

from ..projections import Batch, Projection
from .scheme import Scheme, SchemeLaunch


@triton.jit(do_not_specialize=["T"])
def _gather(w_ptr, y_ptr, idx_ptr, T, w_stride_L, y_stride_T, N: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr):
    TILES: tl.constexpr = (N + TILE - 1) // TILE
    o = tl.arange(0, TILE)
    for item in range(tl.program_id(0), T * TILES, tl.num_programs(0)):
        row = tl.cast(item // TILES, tl.int64)
        o_n = item % TILES * TILE + o
        slot = tl.load(idx_ptr + row)
        b_w = tl.load(w_ptr + slot * w_stride_L + o_n, mask=(o_n < N) & (slot >= 0), other=0.0)
        if DEPTH > 1:
            tl.compile_hint(b_w, "hivm.multi_buffer", DEPTH)
        tl.store(y_ptr + row * y_stride_T + o_n, b_w, mask=o_n < N)


def _gathered(w, idx):
    """The row of w that each index names, zeros where it names none."""
    there = (idx >= 0) & (idx < w.shape[0])
    return w[idx.where(there, 0)].double() * there[:, None]


gather = KernelSpec(
    name="gather",
    stages=(Stage(_gather, lambda c, s, cores: (min(s.T * triton.cdiv(s.N, c.TILE), cores),)),),
    args=dict(w=In("L N", "fp16 bf16"), y=Out("T N", same_dtype="w"), idx=Index("T", "int64", into="L", none=-1)),
    space=dict(
        TILE=PowerOf2(8192, 32768, default=16384), DEPTH=PipelineDepth(upto=2, default=2), AUTO=AutoMultiBuffer()
    ),
    group=("N",),
    bucket=("T",),
    reference=lambda w, idx, **_: {"y": _gathered(w, idx)},
    tolerance=lambda w, idx, **_: {"y": 0 * _gathered(w, idx)},
    minimal_bytes=lambda w, y, idx, **_: 2 * y.numel() * y.element_size() + idx.numel() * idx.element_size(),
    typical="T=4 L=4 N=65536",
    hard=("T=5 N=20000 idx=-1/last/0/0/-1",),
    targets=(),
)


def launches(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """For each slice A and B are gathered; the batched products are our kernels on a slot of its own for every row.

    Base rows have a copy too, of zeros: they are a virtual adapter.
    """
    rows = f"T={batch.rows} L={batch.rows} R={rank} dtype={dtype}"
    made = []
    for width, times in Counter(projection.widths).items():
        for size, spec in ((projection.hidden, bgmv_shrink), (width, bgmv_expand)):
            words = f"{batch.words} N={rank * size} dtype={dtype}"
            made.append(SchemeLaunch.of(gather, words, {}, times=times, launcher=TORCH))
            case = Case.parse(f"{rows} H={size}", spec)
            chosen = tables.select(spec, spec.key(case.shape()), chip).config
            made.append(SchemeLaunch(spec, case, (chosen,), times, TORCH))
    return made


SCHEME = Scheme(
    "gather and bmm",
    "the baseline of CoLD (arXiv 2505.14620, section 3.4): index_select of the stacked weights, then torch.bmm",
    launches,
    longest=256,
)
