"""The contrastive score in Triton, and the choice by it: ``e + beta * (e - a)`` where ``e >= max(e) + log(alpha)``.

Both kernels compute ``e - beta * (a - e)``: the same numbers, and where the rows are equal -0.0 stays -0.0. Each core
that scores takes the maximum of its whole row, however small its part; for the choice a launch before has shared that
work (`tops.py`).
"""

import triton
import triton.language as tl

from ..arguments import Workspace
from ..limits import MAX_CHOICES, MAX_VOCABULARY
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Warps
from . import arguments, reference
from .tops import _tops, block_size

NOWHERE = tl.constexpr(1e9)
"""A position past every vocabulary. Positions are float32 numbers, exact below 2^24: integers are slow to compare."""


@triton.jit
def _row(p_e, p_log_alpha, p_beta, V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr):
    """The row's cutoff, its beta, and whether the expert has a NaN: what ``max`` makes of one is undocumented."""
    dtype: tl.constexpr = p_e.dtype.element_ty
    WIDE: tl.constexpr = dtype == tl.float32
    BITS: tl.constexpr = tl.int32 if WIDE else tl.int16
    NO_SIGN: tl.constexpr = 0x7FFFFFFF if WIDE else 0x7FFF
    INFINITY: tl.constexpr = 0x7F800000 if WIDE else (0x7C00 if dtype == tl.float16 else 0x7F80)
    HALF: tl.constexpr = tl.float16 if dtype == tl.float16 else tl.float32  # the vector unit has no bf16
    o_v = tl.arange(0, TILE_V)
    b_top = tl.full([TILE_V], float("-inf"), HALF)
    b_bits = tl.zeros([TILE_V], BITS)
    for v in range(0, V, TILE_V):
        b_e = tl.load(p_e + v + o_v, mask=v + o_v < V, other=float("-inf"))  # [TILE_V]
        if DEPTH > 1:
            tl.compile_hint(b_e, "hivm.multi_buffer", DEPTH)
        b_bits = tl.maximum(b_bits, b_e.to(BITS, bitcast=True) & NO_SIGN)
        # One instruction; without it, Triton has four look for NaN.
        b_top = tl.maximum(b_top, b_e.to(HALF), propagate_nan=tl.PropagateNan.ALL)
    log_alpha = tl.load(p_log_alpha)  # here, while the vector unit is busy
    beta = tl.load(p_beta)
    NARROW: tl.constexpr = tl.float32 if WIDE else tl.float16
    nan = tl.max((b_bits - INFINITY).to(NARROW), axis=0).to(tl.float32) > 0.0
    return tl.max(b_top, axis=0).to(tl.float32) + log_alpha, beta, nan


@triton.jit
def _contrast(b_e, b_a, cutoff, beta):
    """Scores of a tile; the difference counts as 0 where ``a`` is not finite, and everywhere if beta is 0."""
    limit = tl.where(beta == 0.0, 0.0, float("inf"))
    if b_a.dtype == tl.float16:
        m_a = tl.abs(b_a) < limit.to(tl.float16)
    else:
        m_a = tl.abs(b_a.to(tl.float32)) < limit
    b_e = b_e.to(tl.float32)
    b_d = tl.where(m_a, b_a.to(tl.float32) - b_e, 0.0)
    return tl.where(b_e >= cutoff, b_e - beta * b_d, float("-inf"))


@triton.jit(
    do_not_specialize=[
        "B", "expert_stride_B", "amateur_stride_B", "score_stride_B", "log_alpha_stride_B", "beta_stride_B",
    ]
)  # fmt: skip
def _score(
    expert_ptr, amateur_ptr, score_ptr, log_alpha_ptr, beta_ptr, B,
    expert_stride_B, amateur_stride_B, score_stride_B, log_alpha_stride_B, beta_stride_B,
    V: tl.constexpr, TILE_V: tl.constexpr, SPLIT_V: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    TILES: tl.constexpr = (V + TILE_V - 1) // TILE_V
    o_v = tl.arange(0, TILE_V)
    parts = tl.maximum(1, tl.minimum(SPLIT_V, tl.num_programs(0) // B))
    span = (TILES + parts - 1) // parts * TILE_V
    for item in range(tl.program_id(0), B * parts, tl.num_programs(0)):
        row = tl.cast(item // parts, tl.int64)
        first = item % parts * span
        p_e = expert_ptr + row * expert_stride_B
        p_a = amateur_ptr + row * amateur_stride_B
        p_y = score_ptr + row * score_stride_B
        p_log_alpha = log_alpha_ptr + row * log_alpha_stride_B
        cutoff, beta, nan = _row(p_e, p_log_alpha, beta_ptr + row * beta_stride_B, V, TILE_V, DEPTH)
        for v in range(first, tl.minimum(first + span, V), TILE_V):
            m_v = v + o_v < V
            b_e = tl.load(p_e + v + o_v, mask=m_v, other=float("-inf"))  # [TILE_V]
            b_a = tl.load(p_a + v + o_v, mask=m_v, other=0.0)  # [TILE_V]
            if DEPTH > 1:
                tl.compile_hint(b_e, "hivm.multi_buffer", DEPTH)
                tl.compile_hint(b_a, "hivm.multi_buffer", DEPTH)
            b_y = _contrast(b_e, b_a, cutoff, beta)
            if nan:
                b_y = tl.full([TILE_V], float("nan"), tl.float32)
            tl.store(p_y + v + o_v, b_y, mask=m_v)


@triton.jit
def _first_nan(p_e, first, last, V: tl.constexpr, TILE_V: tl.constexpr):
    """Where the span's first NaN is, and infinity as the score that it wins with."""
    o_v = tl.arange(0, TILE_V)
    at = NOWHERE
    for v in range(first, last, TILE_V):
        b_e = tl.load(p_e + v + o_v, mask=v + o_v < V, other=0.0).to(tl.float32)  # [TILE_V]
        here = tl.min(tl.where(b_e == b_e, NOWHERE, o_v.to(tl.float32)), axis=0)
        at = tl.minimum(at, here + tl.cast(v, tl.float32))
    return tl.where(at < NOWHERE, float("inf"), float("-inf")), at


@triton.jit
def _block(p, b_at, V: tl.constexpr, SIZE: tl.constexpr, TAKE: tl.constexpr, other: tl.constexpr):
    """Logits from each of the places on: [TAKE * SIZE]."""
    o_v = tl.arange(0, SIZE)
    if V < SIZE:
        b = tl.broadcast_to(tl.load(p + o_v, mask=o_v < V, other=other)[None, :], [TAKE, SIZE])
    else:
        b = tl.load(p + b_at[:, None] + o_v[None, :])
    return tl.reshape(b, [TAKE * SIZE])


@triton.jit
def _best(
    p_e, p_a, p_beta, b_top, cutoff, V: tl.constexpr, SIZE: tl.constexpr, BLOCKS: tl.constexpr, TAKE: tl.constexpr
):  # fmt: skip
    """The lowest position of the highest score in the blocks that reach the cutoff, so many at a time."""
    LAST: tl.constexpr = V - SIZE if V > SIZE else 0
    b_left = (BLOCKS - tl.arange(0, BLOCKS)).to(tl.float32)  # blocks from this one on
    b_left = tl.sort(tl.where(b_top >= cutoff, b_left, 0.0), descending=True)
    beta = tl.load(p_beta)  # here, while the vector unit is busy
    left = tl.where(cutoff > float("-inf"), NOWHERE, 0.0)  # where all are masked, the first is chosen
    best = float("-inf")
    at = 0.0
    while left > 0.0:
        b_here = tl.where(b_left < left, b_left, 0.0)
        b_here = tl.max(tl.reshape(b_here, [BLOCKS // TAKE, TAKE]), axis=0)  # the next ones, as rows are in order
        b_at = tl.minimum((BLOCKS - b_here).to(tl.int32) * SIZE, LAST)
        b_e = _block(p_e, b_at, V, SIZE, TAKE, float("-inf"))
        b_a = _block(p_a, b_at, V, SIZE, TAKE, 0.0)
        b_v = b_at.to(tl.float32)[:, None] + tl.arange(0, SIZE).to(tl.float32)[None, :]
        left = tl.min(b_here, axis=0)
        b_y = _contrast(b_e, b_a, cutoff, beta)
        here = tl.max(b_y, axis=0)
        if here > best:
            best = here
            at = tl.min(tl.where(b_y == here, tl.reshape(b_v, [TAKE * SIZE]), NOWHERE), axis=0)
    return at


@triton.jit(do_not_specialize=["B", "expert_stride_B", "amateur_stride_B", "log_alpha_stride_B", "beta_stride_B"])
def _argmax(
    expert_ptr, amateur_ptr, top_ptr, choice_ptr, log_alpha_ptr, beta_ptr, B,
    expert_stride_B, amateur_stride_B, log_alpha_stride_B, beta_stride_B,
    V: tl.constexpr, BLOCKS: tl.constexpr, TAKE: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2((V + BLOCKS - 1) // BLOCKS)
    SIZE: tl.constexpr = POWER if POWER > 128 else 128
    USED: tl.constexpr = (V + SIZE - 1) // SIZE
    o_b = tl.arange(0, BLOCKS)
    for item in range(tl.program_id(0), B, tl.num_programs(0)):
        row = tl.cast(item, tl.int64)
        p_e = expert_ptr + row * expert_stride_B
        p_a = amateur_ptr + row * amateur_stride_B
        b_top = tl.load(top_ptr + row * BLOCKS + o_b, mask=o_b < USED, other=float("-inf"))
        log_alpha = tl.load(log_alpha_ptr + row * log_alpha_stride_B)
        top = tl.max(b_top, axis=0)
        nan = NOWHERE
        if top == float("inf"):
            _, nan = _first_nan(p_e, 0, V, V, TAKE * SIZE)
        if nan < NOWHERE:
            at = nan
        else:
            at = _best(p_e, p_a, beta_ptr + row * beta_stride_B, b_top, top + log_alpha, V, SIZE, BLOCKS, TAKE)
        tl.store(choice_ptr + item, at.to(choice_ptr.dtype.element_ty))


_COMMON = dict(
    group=("V",),
    bucket=("B",),
    limits=dict(V=MAX_VOCABULARY),
    typical="B=8 V=32000",
    hard=("B=1 V=1", "B=9 V=7", "B=13 V=1100", "B=5 V=4095 strided", "B=3 V=32000"),
    targets=tuple(f"B={rows} V={v}" for v in (32000, 49152, 128256, 151936) for rows in (8, 32)),
)
_TILE_PAST_REGISTERS = dict(tile_past_registers=lambda c, s: c.TILE_V - 1024 * c.WARPS)
"""On GPUs: 32 numbers for each thread."""
_UNHINTED = dict(DEPTH=lambda config, shape: 1)
_TILE_PAST_ROW = dict(tile_past_row=lambda c, s: c.TILE_V - max(256, triton.next_power_of_2(s.V)))


def _parts(config, shape, cores):
    return (min(shape.B * config.SPLIT_V, cores),)


contrastive_score = KernelSpec(
    name="contrastive_score",
    stages=(Stage(_score, _parts),),
    args=arguments.SCORE,
    space=dict(
        TILE_V=PowerOf2(256, 4096, default=4096),
        SPLIT_V=Choice(1, 2, 4, 8, 16, 32, default=8),
        DEPTH=PipelineDepth(upto=4, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=_TILE_PAST_ROW,
    gpu=dict(
        space=dict(
            TILE_V=PowerOf2(256, 4096, default=1024),
            SPLIT_V=PowerOf2(1, 64, default=16),
            WARPS=Warps(upto=8, default=4),
        ),
        constraints=dict(**_TILE_PAST_ROW, **_TILE_PAST_REGISTERS),
        counts=_UNHINTED,
    ),
    reference=reference.score,
    tolerance=reference.score_tolerance,
    minimal_bytes=reference.score_bytes,
    **_COMMON,
)


def _tiles(config, shape, cores):
    return (min(shape.B * min(config.SPLIT_V, triton.cdiv(shape.V, config.TILE_V)), cores),)


def _taken(config, shape):
    """Logits of the blocks that are looked into at a time."""
    return config.TAKE * block_size(shape.V, config.BLOCKS)


_BLOCKS = dict(block_past_tile=lambda c, s: block_size(s.V, c.BLOCKS) - c.TILE_V)

contrastive_argmax = KernelSpec(
    name="contrastive_argmax",
    stages=(Stage(_tops, _tiles), Stage(_argmax, lambda c, s, cores: (min(s.B, cores),))),
    args=dict(**arguments.ARGMAX, top=Workspace("B BLOCKS", "fp32")),
    space=dict(
        TILE_V=PowerOf2(256, 8192, default=8192),
        SPLIT_V=Choice(1, 2, 4, 8, 16, 32, default=8),
        BLOCKS=PowerOf2(128, 4096, default=512),
        TAKE=PowerOf2(8, 16, default=16),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(**_TILE_PAST_ROW, **_BLOCKS, taken_past_buffer=lambda c, s: _taken(c, s) - 4096),
    gpu=dict(
        space=dict(
            TILE_V=PowerOf2(256, 4096, default=2048),
            SPLIT_V=PowerOf2(1, 64, default=32),
            BLOCKS=PowerOf2(128, 2048, default=512),
            TAKE=PowerOf2(4, 16, default=4),
            WARPS=Warps(upto=8, default=8),
        ),
        constraints=dict(
            **_TILE_PAST_ROW,
            **_TILE_PAST_REGISTERS,
            **_BLOCKS,
            taken_past_registers=lambda c, s: _taken(c, s) - 256 * c.WARPS,
        ),
        by_hand=dict(BLOCKS=lambda shape: 1024 if 65536 < shape.V <= 131072 else 512),
        counts=_UNHINTED,
    ),
    reference=reference.argmax,
    tolerance=reference.argmax_tolerance,
    minimal_bytes=reference.argmax_bytes,
    **(_COMMON | dict(limits=dict(V=MAX_CHOICES))),
)
