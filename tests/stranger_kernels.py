"""A kernel whose parameters go by other names than ours, and its spec: ``y[m, n] = factor * x[m, n] + bias[n]``."""

import triton
import triton.language as tl

from cold_kernels.arguments import Fixed, In, Out, Pointer, Stride
from cold_kernels.as_default import as_default, close_to_default
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, PowerOf2


@triton.jit(do_not_specialize=["rows", "columns"])
def scaled(X, Y, bias, mask, stride_xm, stride_xn, stride_bm, rows, columns, factor, TILE: tl.constexpr):
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        for start in range(0, columns, TILE):
            o = start + tl.arange(0, TILE)
            x = tl.load(X + row * stride_xm + o * stride_xn, mask=o < columns, other=0.0)
            b = tl.load(bias + row * stride_bm + o, mask=o < columns, other=0.0)
            tl.store(Y + row * columns + o, x * factor + b, mask=o < columns)


BINDS = {
    "X": Pointer("x"),
    "Y": Pointer("y"),
    "bias": Pointer("bias"),
    "mask": Fixed(None),
    "stride_xm": Stride("x", "rows"),
    "stride_xn": Stride("x", "columns"),
    "stride_bm": Stride("bias", "rows"),
    "factor": Fixed(2.0),
}


def stage(binds=BINDS):
    return Stage(scaled, lambda c, s, cores: (min(s.rows, cores),), binds=binds)


def declared(**changes):
    """The spec with some fields replaced."""
    fields = dict(
        name="scaled",
        stages=(stage(),),
        args=dict(
            x=In("rows columns", "fp32"),
            y=Out("rows columns", same_dtype="x", contiguous=True),
            bias=In("columns", same_dtype="x"),
        ),
        space=dict(TILE=PowerOf2(32, 1024, default=128), AUTO=AutoMultiBuffer()),
        group=("columns",),
        bucket=("rows",),
        reference=as_default(lambda: scaled_spec),
        tolerance=close_to_default(lambda: scaled_spec),
        minimal_bytes=lambda x, y, bias: 4 * (x.numel() + y.numel() + bias.numel()),
        typical="rows=4 columns=100 dtype=fp32",
        hard=("",),
        targets=("rows=4 columns=100",),
    )
    return KernelSpec(**fields | changes)


scaled_spec = declared()
