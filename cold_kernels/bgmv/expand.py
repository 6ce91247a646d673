"""BGMV expand in Triton: ``y[t] (+)= b[idx[t]] @ x[t]``, from LoRA rank up to the output's size."""

import triton
import triton.language as tl

from ..limits import MAX_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Warps
from . import arguments, reference
from .b_tiles import elements_a_row, load_tile, repeated, store_products
from .forms import ON_ASCEND, ON_GPUS
from .targets import LLAMA_2_7B_DECODING


@triton.jit(do_not_specialize=["T", "L"])
def _expand(
    b_ptr, x_ptr, y_ptr, idx_ptr, T, L,
    x_stride_T, x_stride_R, b_stride_L, y_stride_T, y_stride_H,
    H: tl.constexpr, R: tl.constexpr, b_stride_H: tl.constexpr, add: tl.constexpr,
    TILE: tl.constexpr, SPLIT: tl.constexpr, DEPTH: tl.constexpr, ASCEND: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_H == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    # Columns of a tile where it is multiplied: on Ascend at least two repeats of a vector instruction.
    WIDTH: tl.constexpr = 128 if ASCEND and (P < 128) else P
    TILE_H: tl.constexpr = TILE // P
    SPAN: tl.constexpr = (H + SPLIT * TILE_H - 1) // (SPLIT * TILE_H) * TILE_H
    one = tl.where(L > 0, 1.0, 0.0) if ASCEND else 1.0
    o_r = tl.arange(0, P)
    # Rows vary slowest: the expert rows of a doubled batch come first and are dealt over all cores.
    for item in range(tl.program_id(0), T * SPLIT, tl.num_programs(0)):
        row = tl.cast(item // SPLIT, tl.int64)
        first = item % SPLIT * SPAN
        last = tl.minimum(first + SPAN, H)
        slot = tl.load(idx_ptr + row).to(tl.int64)
        if ((slot >= 0) & (slot < L)) & (first < last):
            p_b = b_ptr + slot * b_stride_L
            p_x = x_ptr + row * x_stride_T
            p_y = y_ptr + row * y_stride_T
            b_x = tl.load(p_x + o_r.to(tl.int64) * x_stride_R, mask=o_r < R, other=0.0).to(tl.float32)  # [P]
            b_b = load_tile(p_b, first, last, b_stride_H, R, P, TILE, FLAT, 1)
            b_wide = repeated(b_x, P, WIDTH)
            store_products(
                p_y, b_b, b_wide, p_b, first, last, b_stride_H, y_stride_H, one, R, P, add, TILE, FLAT, DEPTH, ASCEND
            )


def _items(config, shape, cores):
    return (min(shape.T * config.SPLIT, cores),)


_CONSTRAINTS = dict(
    tile_past_output=lambda c, s: c.TILE - max(1024, elements_a_row(s) * triton.next_power_of_2(s.H)),
    empty_parts=lambda c, s: (c.SPLIT - 1) * (c.TILE // elements_a_row(s)) - s.H + 1 if c.SPLIT > 1 else 0,
)

bgmv_expand = KernelSpec(
    name="bgmv_expand",
    stages=(Stage(_expand, _items),),
    args=arguments.EXPAND,
    counts=ON_ASCEND,
    space=dict(
        TILE=PowerOf2(1024, 16384, default=8192),
        SPLIT=Choice(1, 2, 3, 4, 5, 8, 10, 16, 20, 40, default=4),
        DEPTH=PipelineDepth(upto=3, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=_CONSTRAINTS,
    # A tile or two for a program: what waits for B is then the whole GPU, and not a loop.
    gpu=dict(
        space=dict(
            TILE=PowerOf2(1024, 8192, default=2048),
            SPLIT=PowerOf2(1, 128, default=32),
            WARPS=Warps(upto=8, default=4),
        ),
        constraints=dict(**_CONSTRAINTS, tile_past_registers=lambda c, s: c.TILE - 2048 * c.WARPS),
        invariant=("TILE", "WARPS"),
        counts=ON_GPUS,
    ),
    group=("H", "R"),
    bucket=("T",),
    reference=reference.expand,
    tolerance=reference.expand_tolerance,
    minimal_bytes=reference.expand_bytes,
    limits=dict(R=MAX_RANK),
    typical="T=16 L=4 H=4096 R=16",
    hard=(
        "T=1 H=1 R=1 L=1",
        "T=5 H=4095 R=12 idx=-1/last/0/0/-1 strided",
        "T=3 H=8 R=16 index=int32",
        "T=2 H=300 R=256 L=2",
        "T=7 H=1100 R=3 idx=none",
        "T=45 H=130 R=8 L=3 idx=half index=int32 add=0",
        "T=4 H=96 R=4 add=0",
        "T=4 H=70 R=100 strided",
        "T=4 H=200 R=64",
    ),
    targets=LLAMA_2_7B_DECODING,
)
