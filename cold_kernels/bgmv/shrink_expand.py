"""BGMV shrink and expand of several slices in a launch or two: ``y[t] (+)= scale * b[idx[t]] @ (a[idx[t]] @ x[t])``."""

import triton
import triton.language as tl

from ..limits import MAX_FUSED_RANK
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Warps
from . import arguments
from . import shrink_expand_reference as reference
from .a_tiles import load_columns, load_rows, span_sums, twice_row_sums
from .apart import _expand_spans, _shrink_spans
from .b_tiles import GAP, elements_a_row, load_tile, repeated, store_products
from .forms import ON_ASCEND, ON_GPUS
from .items import columns_of, rows_to_do, shared_item, slot_of

SUMMED = 8
"""Columns that `block_sums` sums."""
LANES = 64
"""Columns of a tile of A, at least: a whole repeat of a vector instruction."""


@triton.jit(do_not_specialize=["T", "L", "M"])
def _shrink_expand(
    x_ptr, a_ptr, b_ptr, y_ptr, idx_ptr, starts_ptr, order_ptr, scale, T, L, D, M,
    x_stride_T, a_stride_L, a_stride_S, a_stride_R, b_stride_L, y_stride_T,
    H: tl.constexpr, R: tl.constexpr, S: tl.constexpr, b_stride_D: tl.constexpr, add: tl.constexpr,
    TILE_A: tl.constexpr, SPAN: tl.constexpr, TILE: tl.constexpr, SHARE: tl.constexpr, DEPTH: tl.constexpr,
    ASCEND: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2(R)
    FLAT: tl.constexpr = ((POWER == R) and (R >= 8)) and (b_stride_D == R)  # rows of b follow one another
    P: tl.constexpr = POWER if FLAT or (POWER >= 16) else 16  # elements in a row of the tile: whole blocks
    # Columns of a tile where it is multiplied: on Ascend at least two repeats of a vector instruction.
    WIDTH: tl.constexpr = 128 if ASCEND and (P < 128) else P
    TILE_H: tl.constexpr = TILE_A // P
    SPANS: tl.constexpr = (H + SPAN - 1) // SPAN
    TILES: tl.constexpr = (H + TILE_H - 1) // TILE_H if SPANS == 1 else SPAN // TILE_H
    one = tl.where(L > 0, 1.0, 0.0) if ASCEND else 1.0
    rows = rows_to_do(order_ptr, T, M)
    # An item is a slice of a row, first slices first: they are the largest. Of the cores that share one, each shrinks
    # for itself; the sums are those of `apart`, to the bit.
    for before in range(0, rows * S, tl.num_programs(0)):
        item, part, parts = shared_item(before, rows * S, SHARE)
        s = item // rows
        row, slot = slot_of(item % rows, order_ptr, idx_ptr, T, M)
        if ((slot >= 0) & (slot < L)) & (item < rows * S):
            first, last = columns_of(s, part, parts, starts_ptr, D, S, TILE // P)
            if first < last:
                p_a = a_ptr + slot * a_stride_L + tl.cast(s, tl.int64) * a_stride_S
                p_b = b_ptr + slot * b_stride_L
                p_y = y_ptr + row * y_stride_T
                p_x = x_ptr + row * x_stride_T
                b_x = load_columns(p_x, 0, H, TILE_H, 1)
                b_a = load_rows(p_a, 0, R, a_stride_R, H, P, TILE_H, 1)
                b_h = tl.zeros([P], tl.float32)
                if SPANS > 1:
                    b_gap = tl.zeros([GAP], tl.float32) + one
                    for h in range(0, SPANS * SPAN, SPAN):
                        last_h = tl.minimum(h + SPAN, H)
                        b_sum, b_gap, b_x, b_a = span_sums(
                            b_x, b_a, p_x, p_a, h, last_h, H, a_stride_R, one, R, TILES, DEPTH
                        )
                        b_h += twice_row_sums(b_sum, P, ASCEND)
                    b_b = load_tile(p_b, first, last, b_stride_D, R, P, TILE, FLAT, 1)
                else:
                    b_sum, b_gap, b_x, b_a = span_sums(b_x, b_a, p_x, p_a, 0, H, H, a_stride_R, one, R, TILES, DEPTH)
                    b_b = load_tile(p_b, first, last, b_stride_D, R, P, TILE, FLAT, 1)
                    b_h += twice_row_sums(b_sum, P, ASCEND)
                b_h = b_h * (0.5 * scale)
                if P != R:
                    b_h = tl.where(tl.arange(0, P) < R, b_h, 0.0)  # zeros of the padding times an infinity are none
                b_wide = repeated(b_h, P, WIDTH)
                if ASCEND:
                    b_wide = b_wide * repeated(b_gap, GAP, WIDTH)
                store_products(
                    p_y, b_b, b_wide, p_b, first, last, b_stride_D, 1, one, R, P, add, TILE, FLAT, DEPTH, ASCEND
                )


def _most_of_a(shape):
    """Elements of a tile of A: more gain where 8192 are columns of less than two repeats.

    There is no room for more in float32, nor for a single tile, whose loop is not unrolled and so has two buffers.
    """
    large = shape.R > 64 and shape.H > 16384 // elements_a_row(shape) and shape.dtype != "fp32"
    return 16384 if large else 8192


def _tiles_past_span(config, shape):
    """Columns by which two tiles are more than a span, whatever the hidden size: a table has one span for all.

    Of a span of one tile the compiler makes one sum of two: by other instructions in the two schemes, and slow ones.
    """
    rows = 8 if shape.R == 8 else elements_a_row(shape)
    return 2 * config.TILE_A // rows - config.SPAN


def _number_of_spans(config, shape):
    return triton.cdiv(shape.H, config.SPAN)


def _items(config, shape, cores):
    """A core for each part of an item that another may take, as far as there are cores."""
    parts = min(config.SHARE, triton.cdiv(shape.D, config.TILE // elements_a_row(shape)))
    return (min(shape.T * shape.S * parts, cores),)


def _spans(config, shape, cores):
    """A core for each span of columns of an item, as far as there are cores."""
    return (min(shape.T * shape.S * triton.cdiv(shape.H, config.SPAN), cores),)


def _span(shape):
    """Columns of a span, of which each costs a sum within lanes: fewer where columns have more rows of A."""
    return 2048 if shape.R <= 16 else 1024 if shape.R <= 32 else 512


def _scheme(shape):
    """Two launches where one would shrink again on every core, and that takes longer than a launch.

    The border is from simulated device times on Ascend910B3 (docs/kernels.md); a launch of more cores costs more.
    """
    items = shape.T * shape.S
    again = shape.H * triton.next_power_of_2(shape.R)
    return "apart" if items <= 16 and again > 100_000 * (1 + items / 4) else "fused"


def _scheme_on_gpus(shape):
    """Two launches where a multiprocessor that reads all of A takes longer than a launch: 3 us at 50 bytes a clock."""
    return "apart" if shape.H * triton.next_power_of_2(shape.R) > 131_072 else "fused"


def _share_on_gpus(shape):
    """Programs that share an item: about one for each multiprocessor, as each reads all of A."""
    return min(64, triton.next_power_of_2(max(1, 128 // (shape.T * shape.S))))


bgmv_shrink_expand = KernelSpec(
    name="bgmv_shrink_expand",
    stages=(
        Stage(_shrink_expand, _items, when=lambda c, s: c.SCHEME == "fused"),
        Stage(_shrink_spans, _spans, when=lambda c, s: c.SCHEME == "apart"),
        Stage(_expand_spans, _items, when=lambda c, s: c.SCHEME == "apart"),
    ),
    args=arguments.SHRINK_EXPAND,
    counts=dict(SPANS=_number_of_spans, **ON_ASCEND),
    space=dict(
        SCHEME=Choice("fused", "apart"),
        TILE_A=PowerOf2(4096, 16384, default=16384),
        SPAN=Choice(256, 512, 1024, 2048, 16384, default=16384),
        TILE=PowerOf2(2048, 16384, default=8192),
        SHARE=PowerOf2(1, 64, default=64),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(
        lanes_past_tile=lambda c, s: LANES * elements_a_row(s) - c.TILE_A,
        tile_past_buffer=lambda c, s: c.TILE_A - _most_of_a(s),
        tiles_past_span=_tiles_past_span,
    ),
    by_hand=dict(SCHEME=_scheme, SPAN=_span),
    # Here a row's bits follow from how tiles lie in threads, which the number of rows must not decide: neither by the
    # scheme, of which the compiler makes two programs, nor by a tile.
    gpu=dict(
        space=dict(
            SCHEME=Choice("fused", "apart"),
            TILE_A=PowerOf2(1024, 16384, default=8192),
            SPAN=Choice(256, 512, 1024, 2048, 16384, default=2048),
            TILE=PowerOf2(1024, 8192, default=2048),
            SHARE=PowerOf2(1, 64, default=32),
            WARPS=Warps(upto=16, default=8),
        ),
        constraints=dict(
            sums_past_tile=lambda c, s: SUMMED * elements_a_row(s) - c.TILE_A,
            tiles_past_span=_tiles_past_span,
            tile_past_registers=lambda c, s: max(c.TILE_A, c.TILE) - 2048 * c.WARPS,
        ),
        by_hand=dict(SCHEME=_scheme_on_gpus, SPAN=_span, SHARE=_share_on_gpus),
        group=("R", "S", "H", "D"),
        bucket=("T",),
        invariant=("SCHEME", "TILE_A", "SPAN", "TILE", "WARPS"),
        counts=dict(SPANS=_number_of_spans, **ON_GPUS),
    ),
    group=("R",),  # one choice for all models: how much of the unified buffer tiles take depends on nothing else
    bucket=("T", "S", "H", "D"),
    invariant=("TILE_A", "SPAN"),
    reference=reference.shrink_expand,
    tolerance=reference.shrink_expand_tolerance,
    minimal_bytes=reference.shrink_expand_bytes,
    limits=dict(R=MAX_FUSED_RANK),
    typical="T=16 L=4 H=4096 S=1 R=16 D=4096 M=0",
    hard=(
        "T=1 H=1 S=1 R=1 D=1 L=1",
        "T=5 H=1031 S=3 R=12 D=301 idx=-1/last/0/0/-1 starts=0/200/270 strided",
        "T=3 H=70 S=2 R=16 D=96 index=int32 starts=0/40",
        "T=2 H=300 S=1 R=128 D=70 L=2",
        "T=7 H=500 S=1 R=3 D=80 idx=none",
        "T=43 H=130 S=2 R=8 D=150 L=3 idx=half index=int32 add=0 starts=16/100",
        "T=4 H=200 S=2 R=64 D=200 starts=0/150",
        "T=4 H=90 S=1 R=100 D=70 add=0 strided",
        "T=13 H=150 S=3 R=16 D=190 M=14 idx=-1/2/0/-1/2 starts=0/80/150",
        "T=41 H=70 S=1 R=8 D=96 M=42 idx=half",
        "T=3 H=4100 S=1 R=16 D=100 M=4 idx=1/-1/0",  # several spans of columns, the last one of few
        "T=2 H=1100 S=2 R=128 D=90 starts=0/40",
    ),
    targets=reference.DECODING,
)
