"""A declaration for tests: ``y[n, m] = s * x[n, m]`` in one stage, or in two through a workspace."""

import triton
import triton.language as tl

from cold_kernels.arguments import In, Index, Out, Scalar, Workspace
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2


@triton.jit(do_not_specialize=["N"])
def copy_rows(
    x_ptr, y_ptr, s, N, x_stride_N, y_stride_N, y_stride_PARTS,
    M: tl.constexpr, TILE: tl.constexpr, PARTS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    o_m = tl.arange(0, TILE)
    for row in range(tl.program_id(0), N, tl.num_programs(0)):
        x = tl.load(x_ptr + row * x_stride_N + o_m, mask=o_m < M, other=0.0)
        for part in range(PARTS):
            tl.store(y_ptr + part * y_stride_PARTS + row * y_stride_N + o_m, x * s, mask=o_m < M)


@triton.jit
def first_part(part_ptr, y_ptr, N, part_stride_PARTS, y_stride_N, M: tl.constexpr, TILE: tl.constexpr):
    o_m = tl.arange(0, TILE)
    for row in range(tl.program_id(0), N, tl.num_programs(0)):
        tl.store(y_ptr + row * y_stride_N + o_m, tl.load(part_ptr + row * M + o_m, mask=o_m < M), mask=o_m < M)


def rows(config, shape, cores):
    return (min(shape.N, cores),)


def declared(**changes):
    """The declaration with some fields replaced."""
    fields = dict(
        name="copy_rows",
        stages=(
            Stage(copy_rows, rows, when=lambda c, s: c.PARTS == 1),
            Stage(copy_rows, rows, when=lambda c, s: c.PARTS > 1, tensors={"y": "part"}),
            Stage(first_part, rows, when=lambda c, s: c.PARTS > 1),
        ),
        args=dict(
            x=In("N M", "fp16 fp32"),
            y=Out("N M", same_dtype="x"),
            at=Index("N", "int32 int64", into="M", none=-1),
            s=Scalar("fp32", default=2.0),
            part=Workspace("PARTS N M", "fp32"),
        ),
        space=dict(
            TILE=PowerOf2(4, 16, default=8),
            PARTS=Choice(1, 2),
            DEPTH=PipelineDepth(upto=2, default=1),
            AUTO=AutoMultiBuffer(),
        ),
        constraints=dict(tile_below_row=lambda c, s: s.M - c.TILE),
        group=("M",),
        bucket=("N",),
        invariant=("PARTS",),
        reference=lambda x, s, **_: {"y": s * x.double()},
        tolerance=lambda x, s, **_: {"y": 2.0**-10 * (s * x.double()).abs()},
        minimal_bytes=lambda x, y, **_: x.nbytes + y.nbytes,
        typical="N=4 M=8",
        hard=("N=1 M=1",),
        targets=("N=4 M=8",),
    )
    return KernelSpec(**fields | changes)


copies = declared()
