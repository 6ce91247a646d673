"""BGMV expand on the cube cores in Triton: ``y[t] (+)= b[idx[t]] @ x[t]``, rows of a sequence together."""

import triton
import triton.language as tl

from ..limits import MAX_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import Choice, PowerOf2
from . import arguments, reference
from . import cube_reference as targets
from .cube_tiles import HALF_L0, LEAST, SINGLE, SUMS, _store_columns, padded_rank
from .row_tiles import most_rows
from .sequence_items import first_item, sequence_of


@triton.jit
def _add_products(
    p_x, p_b, p_before, p_y, rows, start, end, x_stride, y_stride,
    R: tl.constexpr, b_stride: tl.constexpr, add: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """``y[:rows, start:end] (+)= x @ b.T`` for rows that share an adapter; x is rounded to the type of b."""
    POWER: tl.constexpr = triton.next_power_of_2(R)
    P: tl.constexpr = POWER if POWER > 16 else 16
    o_m = tl.arange(0, ROWS)
    o_r = tl.arange(0, P)
    p_low = p_x + o_m[:, None].to(tl.int64) * x_stride + o_r[None, :]
    if (ROWS == 1) and (P == R):
        b_x = tl.load(p_low)
    else:
        b_x = tl.load(p_low, mask=(o_m < rows)[:, None] & (o_r < R)[None, :], other=0.0)
    b_h = b_x.to(p_b.dtype.element_ty)
    _store_columns(b_h, p_b, p_before, p_y, rows, start, end, y_stride, R, b_stride, add, ROWS, TILE)


@triton.jit(do_not_specialize=["T", "L", "N"])
def _expand_tiles(
    b_ptr, x_ptr, before_ptr, y_ptr, idx_ptr, lengths_ptr, slots_ptr, T, L, N,
    x_stride_T, b_stride_L, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, b_stride_H: tl.constexpr, add: tl.constexpr,
    ROWS: tl.constexpr, PARTS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    # ``before`` is y under another name: of one name the compiler gives all of the sums to one of two vector cores.
    POWER: tl.constexpr = triton.next_power_of_2(R)
    TILE_D: tl.constexpr = TILE // (POWER if POWER > 16 else 16)
    SPAN: tl.constexpr = ((H + TILE_D - 1) // TILE_D + PARTS - 1) // PARTS * TILE_D
    outputs = tl.where(L > 0, H, 0)
    if N > 0:
        before = 0
        first = 0
        for n in range(N):
            length, slot = sequence_of(n, lengths_ptr, slots_ptr, first, T)
            items = tl.where((slot >= 0) & (slot < L), tl.cdiv(length, ROWS) * PARTS, 0)
            for item in range(first_item(before), items, tl.num_programs(0)):
                done = item // PARTS * ROWS
                row = tl.cast(first + done, tl.int64)
                start = item % PARTS * SPAN
                _add_products(
                    x_ptr + row * x_stride_T, b_ptr + slot * b_stride_L, before_ptr + row * y_stride_T,
                    y_ptr + row * y_stride_T, tl.minimum(length - done, ROWS), start,
                    tl.minimum(start + SPAN, outputs), x_stride_T, y_stride_T, R, b_stride_H, add, ROWS, TILE,
                )  # fmt: skip
            before += items
            first += length
    else:
        for item in range(tl.program_id(0), T * PARTS, tl.num_programs(0)):
            row = tl.cast(item // PARTS, tl.int64)
            slot = tl.load(idx_ptr + row).to(tl.int64)
            start = item % PARTS * SPAN
            if (slot >= 0) & (slot < L):
                _add_products(
                    x_ptr + row * x_stride_T, b_ptr + slot * b_stride_L, before_ptr + row * y_stride_T,
                    y_ptr + row * y_stride_T, 1, start,
                    tl.minimum(start + SPAN, outputs), x_stride_T, y_stride_T, R, b_stride_H, add, SINGLE, TILE,
                )  # fmt: skip


def _items(config, shape, cores):
    return (min(shape.T * config.PARTS, max(1, cores // 2)),)


bgmv_expand_cube = KernelSpec(
    name="bgmv_expand_cube",
    stages=(Stage(_expand_tiles, _items, tensors={"before": "y"}),),
    args=arguments.EXPAND_SEQUENCES,
    space=dict(
        TILE=PowerOf2(4096, 2 * HALF_L0, default=8192),
        PARTS=Choice(1, 2, 4, 5, 8, 10, 16, 20, default=4),
        ROWS=PowerOf2(16, 128, default=16),
    ),
    constraints=dict(
        past_sums=lambda c, s: c.ROWS * c.TILE // padded_rank(s) - SUMS,
        too_narrow=lambda c, s: LEAST * padded_rank(s) - c.TILE,
    ),
    by_hand=dict(
        TILE=lambda shape: min(512 * padded_rank(shape), 2 * HALF_L0),
        ROWS=lambda shape: most_rows(shape.T),
        PARTS=lambda shape: 8 if shape.T < 8 else 2,
    ),
    group=("R",),
    bucket=("T", "H"),
    invariant=("TILE",),
    reference=reference.expand,
    tolerance=targets.expand_tolerance,
    minimal_bytes=reference.expand_bytes,
    limits=dict(R=MAX_RANK),
    typical="T=16 L=4 H=4096 R=64 N=0",
    hard=(
        "T=1 H=1 R=1 L=1",
        "T=5 H=4095 R=12 idx=-1/last/0/0/-1 strided",
        "T=3 H=8 R=16 index=int32 N=3",
        "T=2 H=300 R=256 L=2 dtype=bf16",
        "T=7 H=1100 R=3 idx=none N=1",
        "T=45 H=130 R=8 L=3 idx=half index=int32 add=0",
        "T=4 H=70 R=100 strided",
        "T=300 H=320 R=64 L=1 idx=half N=2",
    ),
    targets=targets.EXPAND_TARGETS,
)
