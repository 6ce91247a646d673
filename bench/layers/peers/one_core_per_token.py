"""One core a token, one buffer, shrink and expand apart and slice by slice, a scalar read-back for every rank row."""

from collections import Counter

from cold_kernels.arguments import In, Index, InOut, Scalar
from cold_kernels.ascend.host_clock import TORCH
from cold_kernels.bgmv import reference
from cold_kernels.fidelity.one_core_per_token import expand, shrink
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, Choice

from ..projections import Batch, Projection
from .scheme import Scheme, SchemeLaunch

SHRINK_TILE, EXPAND_TILE = 11776, 8192
"""Elements a copy in the AscendC kernels."""


def _shrink(x, a, y_before, idx, scale=1.0, **_):
    """`reference.shrink`, but rows without a slot stay as they were."""
    used = ((idx >= 0) & (idx < a.shape[0]))[:, None]
    return {"y": reference.shrink(x, a, idx, scale)["y"].where(used, y_before.double())}


per_token_shrink = KernelSpec(
    name="per_token_shrink",
    stages=(Stage(shrink, lambda config, shape, cores: (shape.T,)),),
    args=dict(
        x=In("T H", "fp16 bf16"),
        a=In("L R H", same_dtype="x"),
        y=InOut("T R", "fp32"),
        idx=Index("T", "int64", into="L", none=-1),
        scale=Scalar("fp32", default=0.5),
    ),
    space=dict(TILE=Choice(*range(16, SHRINK_TILE + 1, 16), default=SHRINK_TILE), AUTO=AutoMultiBuffer(default=False)),
    group=("H", "R"),
    bucket=("T",),
    reference=_shrink,
    tolerance=reference.shrink_tolerance,
    minimal_bytes=reference.shrink_bytes,
    typical="T=4 L=4 H=4096 R=16",
    hard=("T=5 H=11776 R=8 idx=-1/last/0/0/-1",),
    targets=(),
)
per_token_expand = KernelSpec(
    name="per_token_expand",
    stages=(Stage(expand, lambda config, shape, cores: (shape.T,)),),
    args=dict(
        b=In("L H R", "fp16 bf16"),
        x=In("T R", "fp32"),
        y=InOut("T H", same_dtype="b"),
        idx=Index("T", "int64", into="L", none=-1),
    ),
    space=dict(TILE=Choice(EXPAND_TILE), AUTO=AutoMultiBuffer(default=False)),
    group=("H", "R"),
    bucket=("T",),
    reference=reference.expand,
    tolerance=reference.expand_tolerance,
    minimal_bytes=reference.expand_bytes,
    typical="T=4 L=4 H=4096 R=16",
    hard=("T=5 H=512 R=8 idx=-1/last/0/0/-1", "T=3 H=300 R=128"),
    targets=(),
)


def launches(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """A shrink and an expand for each slice."""
    words = f"{batch.words} R={rank} dtype={dtype}"
    tile = min(projection.hidden, SHRINK_TILE)
    shrinks = SchemeLaunch.of(
        per_token_shrink,
        f"{words} H={projection.hidden}",
        dict(TILE=tile),
        times=len(projection.widths),
        launcher=TORCH,
    )
    expands = [
        SchemeLaunch.of(per_token_expand, f"{words} H={width}", {}, times=times, launcher=TORCH)
        for width, times in Counter(projection.widths).items()
    ]
    return [shrinks, *expands]


SCHEME = Scheme(
    "one core per token",
    "vllm-project/vllm-ascend 182b75ea84ff, csrc/kernels/bgmv_shrink.cpp and bgmv_expand.cpp (Apache-2.0)",
    launches,
    longest=256,
)
