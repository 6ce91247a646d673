"""Segmented products by `tl.dot`: rows sorted by adapter, tiles of a segment's rows; a shrink and an expand launch."""

import torch
import triton
import triton.language as tl

from cold_kernels.arguments import Derived, In, Index, InOut, Scalar
from cold_kernels.bgmv import reference
from cold_kernels.bgmv.cube_tiles import HALF_L0, SUMS, padded_rank
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import Stage
from cold_kernels.tunables import Choice, PowerOf2

from ..projections import Batch, Projection
from .scheme import Scheme, SchemeLaunch
from .split_k import _by_slice

SEGMENT, LONGEST = 16, 64
"""Rows of a segment: SGLang's by default, and those of a prompt, which it lets users choose up to 128."""
SHRINK_TILES, EXPAND_TILES = (16, 64, 128), (8192, 16384, 32768)
"""Columns of the small product and elements of B to a tile; whichever are the fastest count."""


def _by_slot(idx: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    slots, order = idx.where(idx >= 0, torch.iinfo(torch.int32).max).sort(stable=True)
    return slots, order


def order_of(idx: torch.Tensor) -> torch.Tensor:
    """The rows by adapter, those without one last: [T] int32."""
    return _by_slot(idx)[1].to(torch.int32)


def segments_of(idx: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where segments start in the sorted rows, and their slots: each has rows of one slot, ``most`` at most; int32.

    Rows without an adapter are segments that no slot has.
    """
    names, counts = torch.unique_consecutive(_by_slot(idx)[0], return_counts=True)
    ends = counts.cumsum(0)
    pairs = [
        (first, slot)
        for slot, start, end in zip(names.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True)
        for first in range(start, end, most)
    ]
    firsts, owners = zip(*pairs, strict=True)
    return torch.tensor(firsts, dtype=torch.int32), torch.tensor(owners, dtype=torch.int32)


@triton.jit
def _segment(g, order_ptr, firsts_ptr, T, G, gather: tl.constexpr, ROWS: tl.constexpr):
    """A segment's rows and which of them there are: [ROWS] each."""
    first = tl.load(firsts_ptr + g)
    end = T
    if g + 1 < G:
        end = tl.load(firsts_ptr + g + 1)
    o = first + tl.arange(0, ROWS)
    if gather:  # past the end a row of its own: it is loaded all the same, and another core may write any other
        return tl.where(o < end, tl.load(order_ptr + o, mask=o < end, other=0), tl.load(order_ptr + first)), o < end
    else:
        return o, o < end


@triton.jit(do_not_specialize=["T", "L", "G"])
def _shrink(
    x_ptr, a_ptr, y_ptr, order_ptr, firsts_ptr, owners_ptr, T, L, G,
    x_stride_T, a_stride_L, a_stride_N, y_stride_T,
    H: tl.constexpr, N: tl.constexpr, gather: tl.constexpr,
    ROWS: tl.constexpr, TILE_N: tl.constexpr, TILE_H: tl.constexpr,
):  # fmt: skip
    TILES: tl.constexpr = (N + TILE_N - 1) // TILE_N
    width = tl.where(G > 0, H, 0)  # not known to be H, see `cube_shrink`
    for item in range(tl.program_id(0), G * TILES, tl.num_programs(0)):
        slot = tl.load(owners_ptr + item // TILES).to(tl.int64)
        if slot < L:
            o_m, there = _segment(item // TILES, order_ptr, firsts_ptr, T, G, gather, ROWS)
            o_n = item % TILES * TILE_N + tl.arange(0, TILE_N)
            b_y = tl.zeros([ROWS, TILE_N], tl.float32)
            for h in range(0, width, TILE_H):
                o_h = h + tl.arange(0, TILE_H)
                p_x = x_ptr + o_m[:, None].to(tl.int64) * x_stride_T + o_h[None, :]
                b_x = tl.load(p_x, mask=there[:, None] & (o_h < H)[None, :], other=0.0)
                p_a = a_ptr + slot * a_stride_L + o_n[:, None].to(tl.int64) * a_stride_N + o_h[None, :]
                b_a = tl.load(p_a, mask=(o_n < N)[:, None] & (o_h < H)[None, :], other=0.0)
                b_y = tl.dot(b_x, tl.trans(b_a), b_y)
            p_y = y_ptr + o_m[:, None].to(tl.int64) * y_stride_T + o_n[None, :]
            tl.store(p_y, b_y.to(y_ptr.dtype.element_ty), mask=there[:, None] & (o_n < N)[None, :])


@triton.jit(do_not_specialize=["T", "L", "G"])
def _expand(
    b_ptr, x_ptr, before_ptr, y_ptr, order_ptr, firsts_ptr, owners_ptr, starts_ptr, widest, scale, T, L, G, D,
    x_stride_T, b_stride_L, b_stride_D, y_stride_T,
    R: tl.constexpr, S: tl.constexpr, gather: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    # ``before`` is y under another name, see `cube_expand`. Of rows that are loaded by their numbers the compiler loads
    # those past a segment's end as well: a row of the segment, perhaps while that is stored. Nothing uses it.
    POWER: tl.constexpr = triton.next_power_of_2(R)
    P: tl.constexpr = POWER if POWER > 16 else 16
    TILE_D: tl.constexpr = TILE // P
    o_r = tl.arange(0, P)
    tiles = tl.cdiv(widest, TILE_D)
    for item in range(tl.program_id(0), G * S * tiles, tl.num_programs(0)):
        g = item // (S * tiles)
        s = item // tiles % S
        slot = tl.load(owners_ptr + g).to(tl.int64)
        end = D
        if s + 1 < S:
            end = tl.load(starts_ptr + s + 1).to(tl.int32)
        d = tl.load(starts_ptr + s).to(tl.int32) + item % tiles * TILE_D
        if (slot < L) & (d < end):
            o_m, there = _segment(g, order_ptr, firsts_ptr, T, G, gather, ROWS)
            o_d = d + tl.arange(0, TILE_D)
            p_x = x_ptr + o_m[:, None].to(tl.int64) * x_stride_T + s * R + o_r[None, :]
            b_x = tl.load(p_x, mask=there[:, None] & (o_r < R)[None, :], other=0.0)
            p_b = b_ptr + slot * b_stride_L + o_d[:, None].to(tl.int64) * b_stride_D + o_r[None, :]
            b_b = tl.load(p_b, mask=(o_d < end)[:, None] & (o_r < R)[None, :], other=0.0)
            b_y = tl.dot(b_x, tl.trans(b_b)) * scale
            o_y = o_m[:, None].to(tl.int64) * y_stride_T + o_d[None, :]
            m_y = there[:, None] & (o_d < end)[None, :]
            b_y += tl.load(before_ptr + o_y, mask=m_y, other=0.0).to(tl.float32)
            tl.store(y_ptr + o_y, b_y.to(y_ptr.dtype.element_ty), mask=m_y)


_SEGMENTS = dict(
    order=Derived("T", "int32", derive=lambda args: order_of(args["idx"])),
    firsts=Derived("G", "int32", derive=lambda args: segments_of(args["idx"], args["most"])[0]),
    owners=Derived("G", "int32", derive=lambda args: segments_of(args["idx"], args["most"])[1]),
    gather=Scalar("i1", default=True),
)


def _low(x, a, y_before, idx, **_):
    """`reference.shrink`, but rows without a slot stay as they were."""
    used = ((idx >= 0) & (idx < a.shape[0]))[:, None]
    return {"y": reference.shrink(x, a, idx)["y"].where(used, y_before.double())}


def _low_tolerance(x, a, y_before, idx, **_):
    """Of a float32 sum, and of one rounding to y."""
    info = torch.finfo(y_before.dtype)
    error, size = reference.shrink_tolerance(x, a, idx)["y"], reference.shrink(x, a, idx)["y"].abs()
    used = ((idx >= 0) & (idx < a.shape[0])).double()[:, None]
    return {"y": used * (error + info.eps / 2 * (size + error) + info.smallest_normal * info.eps)}


def _scaled(function):
    """Of each slice's columns, by its part of x times ``scale``; in float64, so that multiplying first is the same."""

    def made(b, x, y_before, idx, starts, scale=1.0, **_):
        parts = x.unflatten(1, (len(starts), -1)).double() * scale
        return _by_slice(function, b, parts, y_before, idx, starts)

    return made


segmented_shrink = KernelSpec(
    name="segmented_shrink",
    stages=(Stage(_shrink, lambda c, s, cores: (min(s.G * triton.cdiv(s.N, c.TILE_N), max(1, cores // 2)),)),),
    args=dict(
        x=In("T H", "fp16 bf16"),
        a=In("L N H", same_dtype="x"),
        y=InOut("T N", same_dtype="x"),
        idx=Index("T", "int64", into="L", none=-1),
        most=Scalar("i32", default=16),
        **_SEGMENTS,
    ),
    space=dict(
        ROWS=PowerOf2(16, 128, default=16), TILE_N=PowerOf2(16, 128, default=16), TILE_H=Choice(64, 256, default=256)
    ),
    group=("H", "N"),
    bucket=("T",),
    reference=_low,
    tolerance=_low_tolerance,
    minimal_bytes=reference.shrink_bytes,
    typical="T=4 L=4 H=4096 N=16 G=4",
    hard=(
        "T=5 H=768 N=24 idx=-1/last/0/0/-1 G=3",
        "T=40 H=512 L=2 N=48 idx=-1/1/0/1/1/1/0/0 G=4",
        "T=40 H=600 L=1 N=48 idx=0 gather=0 G=3 dtype=bf16",
    ),
    targets=(),
)
segmented_expand = KernelSpec(
    name="segmented_expand",
    stages=(
        Stage(
            _expand,
            lambda c, s, cores: (min(s.G * triton.cdiv(s.D, c.TILE // padded_rank(s)), max(1, cores // 2)),),
            tensors={"before": "y"},
        ),
    ),
    args=dict(
        b=In("L D R", "fp16 bf16"),
        x=In("T N", same_dtype="b"),
        y=InOut("T D", same_dtype="b"),
        idx=Index("T", "int64", into="L", none=-1),
        most=Scalar("i32", default=16),
        **_SEGMENTS,
        starts=Index("S", "int64", into="D"),
        widest=Scalar("i32", default=4096),
        scale=Scalar("fp32", default=0.5),
    ),
    space=dict(ROWS=PowerOf2(16, 128, default=16), TILE=PowerOf2(2048, 2 * HALF_L0, default=8192)),
    constraints=dict(past_sums=lambda c, s: c.ROWS * c.TILE // padded_rank(s) - SUMS),
    group=("D", "R", "S"),
    bucket=("T",),
    reference=_scaled(reference.expand),
    tolerance=_scaled(reference.expand_tolerance),
    minimal_bytes=lambda x, b, y, idx, **_: reference.expand_bytes(b, x, y, idx),
    typical="T=4 L=4 D=4096 R=16 S=1 N=16 G=4 widest=4096",
    hard=(
        "T=5 D=900 R=8 S=3 N=24 widest=500 idx=-1/last/0/0/-1 starts=0/500/700 G=3",
        "T=40 L=2 D=300 R=128 S=1 N=128 widest=300 idx=-1/1/0/1/1/1/0/0 G=4",
        "T=40 L=1 D=300 R=12 S=1 N=12 widest=300 idx=0 gather=0 G=3 dtype=bf16",
    ),
    targets=(),
)


def launches(projection: Projection, batch: Batch, rank: int, dtype: str, chip: str) -> list[SchemeLaunch]:
    """A shrink and an expand of all slices.

    Segments have 16 rows at most, those of a prompt 64. Where the rows are in the order of their adapters already they
    are loaded as they follow one another, and not by their numbers.
    """
    slices = len(projection.widths)
    idx = torch.tensor(batch.slots)
    gather = int(not torch.equal(order_of(idx), torch.arange(batch.rows, dtype=torch.int32)))
    starts, wide = "/".join(map(str, projection.starts)), f"widest={max(projection.widths)}"
    columns = next(tile for tile in (256, 64) if projection.hidden % tile == 0)  # masked ones are read all the same
    most = LONGEST if batch.prompt else SEGMENT
    words = f"{batch.words} N={slices * rank} gather={gather} G={len(segments_of(idx, most)[0])} most={most}"
    words += f" dtype={dtype}"
    return [
        SchemeLaunch.of(
            segmented_shrink,
            f"{words} H={projection.hidden}",
            *(dict(ROWS=most, TILE_N=tile, TILE_H=columns) for tile in SHRINK_TILES),
        ),
        SchemeLaunch.of(
            segmented_expand,
            f"{words} R={rank} S={slices} D={projection.outputs} starts={starts} {wide}",
            *(dict(ROWS=most, TILE=tile) for tile in EXPAND_TILES),
        ),
    ]


SCHEME = Scheme(
    "segmented dot",
    "SGLang, python/sglang/srt/lora/triton_ops/chunked_sgmv_shrink.py and chunked_sgmv_expand.py (Apache-2.0)",
    launches,
)
