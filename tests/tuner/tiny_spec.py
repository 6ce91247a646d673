"""A spec as somebody else would write it, in a file that no package knows: ``z = x + y``."""

import torch
import triton
import triton.language as tl

from cold_kernels.arguments import In, Out
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import AutoMultiBuffer, PowerOf2


@triton.jit(do_not_specialize=["N"])
def add(x_ptr, y_ptr, z_ptr, N, TILE: tl.constexpr):
    for start in range(tl.program_id(0) * TILE, N, tl.num_programs(0) * TILE):
        o_n = start + tl.arange(0, TILE)
        m_n = o_n < N
        b_x = tl.load(x_ptr + o_n, mask=m_n, other=0.0)
        b_y = tl.load(y_ptr + o_n, mask=m_n, other=0.0)
        tl.store(z_ptr + o_n, b_x + b_y, mask=m_n)


tiny_add = KernelSpec(
    name="tiny_add",
    stages=(Stage(add, lambda c, s, cores: (min(triton.cdiv(s.N, c.TILE), cores),)),),
    args=dict(x=In("N", "fp32"), y=In("N", same_dtype="x"), z=Out("N", "fp32")),
    space=dict(TILE=PowerOf2(64, 16384, default=256), AUTO=AutoMultiBuffer()),
    constraints=dict(tile_past_size=lambda c, s: c.TILE - max(64, triton.next_power_of_2(s.N))),
    group=(),
    bucket=("N",),
    reference=lambda x, y, **_: {"z": x.double() + y.double()},
    tolerance=lambda x, y, **_: {"z": (x.double().abs() + y.double().abs()) * 2.0**-23},
    minimal_bytes=lambda x, y, z: 4 * (x.numel() + y.numel() + z.numel()),
    typical="N=4096 dtype=fp32",
    hard=("N=1", "N=777"),
    targets=("N=8192", "N=40000"),
)
not_a_spec = torch.float32
