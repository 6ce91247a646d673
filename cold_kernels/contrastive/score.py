"""The contrastive score in Triton, and the choice by it: ``e + beta * (e - a)`` where ``e >= max(e) + log(alpha)``.

Both kernels compute ``e - beta * (a - e)``: the same numbers, and where the rows are equal -0.0 stays -0.0. Each core
takes the maximum of its whole row, however small its part: cores need not wait for each other.
"""

import triton
import triton.language as tl

from ..limits import MAX_VOCABULARY
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2
from . import arguments, reference

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
def _load(p, v, V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr, other: tl.constexpr):
    """Logits from ``v`` on: [TILE_V]."""
    o_v = v + tl.arange(0, TILE_V)
    b = tl.load(p + o_v, mask=o_v < V, other=other)
    if DEPTH > 1:
        tl.compile_hint(b, "hivm.multi_buffer", DEPTH)
    return b


@triton.jit
def _best(p_e, p_a, cutoff, beta, V: tl.constexpr, TILE_V: tl.constexpr, SKIP: tl.constexpr, DEPTH: tl.constexpr):
    """The lowest position of the row's highest score.

    A model's logits pass the mask in few places: with ``SKIP``, of tiles without any the amateur's are not even loaded.
    """
    dtype: tl.constexpr = p_e.dtype.element_ty
    HALF: tl.constexpr = tl.float16 if dtype == tl.float16 else tl.float32
    LOWEST: tl.constexpr = float("-inf")
    b_best = tl.full([TILE_V], LOWEST, tl.float32)
    b_v = tl.zeros([TILE_V], tl.float32)  # of a lane's best: where its tile starts
    if SKIP:
        b_e = _load(p_e, 0, V, TILE_V, 1, LOWEST)
        for v in range(0, V, TILE_V):
            b_next = _load(p_e, v + TILE_V, V, TILE_V, DEPTH, LOWEST)
            if tl.max(b_e.to(HALF), axis=0).to(tl.float32) >= cutoff:
                b_y = _contrast(b_e, _load(p_a, v, V, TILE_V, 1, 0.0), cutoff, beta)
                b_v = tl.where(b_y > b_best, tl.cast(v, tl.float32), b_v)
                b_best = tl.maximum(b_best, b_y, propagate_nan=tl.PropagateNan.ALL)
            b_e = b_next
    else:
        for v in range(0, V, TILE_V):
            b_e = _load(p_e, v, V, TILE_V, DEPTH, LOWEST)
            b_y = _contrast(b_e, _load(p_a, v, V, TILE_V, DEPTH, 0.0), cutoff, beta)
            b_v = tl.where(b_y > b_best, tl.cast(v, tl.float32), b_v)
            b_best = tl.maximum(b_best, b_y, propagate_nan=tl.PropagateNan.ALL)
    best = tl.max(b_best, axis=0)
    o_v = tl.arange(0, TILE_V)
    return tl.min(tl.where(b_best == best, b_v + o_v.to(tl.float32), NOWHERE), axis=0)


@triton.jit(do_not_specialize=["B", "expert_stride_B", "amateur_stride_B", "log_alpha_stride_B", "beta_stride_B"])
def _argmax(
    expert_ptr, amateur_ptr, choice_ptr, log_alpha_ptr, beta_ptr, B,
    expert_stride_B, amateur_stride_B, log_alpha_stride_B, beta_stride_B,
    V: tl.constexpr, TILE_V: tl.constexpr, SKIP: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    for item in range(tl.program_id(0), B, tl.num_programs(0)):
        row = tl.cast(item, tl.int64)
        p_e = expert_ptr + row * expert_stride_B
        p_a = amateur_ptr + row * amateur_stride_B
        p_log_alpha = log_alpha_ptr + row * log_alpha_stride_B
        cutoff, beta, nan = _row(p_e, p_log_alpha, beta_ptr + row * beta_stride_B, V, TILE_V, DEPTH)
        if nan:
            _, at = _first_nan(p_e, 0, V, V, TILE_V)
        else:
            at = _best(p_e, p_a, cutoff, beta, V, TILE_V, SKIP, DEPTH)
        tl.store(choice_ptr + item, at.to(choice_ptr.dtype.element_ty))


_COMMON = dict(
    group=("V",),
    bucket=("B",),
    limits=dict(V=MAX_VOCABULARY),
    typical="B=8 V=32000",
    hard=("B=1 V=1", "B=9 V=7", "B=13 V=1100", "B=5 V=4095 strided", "B=2 V=32000"),
    targets=tuple(f"B={rows} V={v}" for v in (32000, 49152, 128256, 151936) for rows in (8, 32)),
)
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
    reference=reference.score,
    tolerance=reference.score_tolerance,
    minimal_bytes=reference.score_bytes,
    **_COMMON,
)

contrastive_argmax = KernelSpec(
    name="contrastive_argmax",
    stages=(Stage(_argmax, lambda c, s, cores: (min(s.B, cores),)),),
    args=arguments.ARGMAX,
    space=dict(
        TILE_V=PowerOf2(256, 4096, default=4096),
        SKIP=Choice(True, False, default=False),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(
        **_TILE_PAST_ROW,
        tile_past_buffer=lambda c, s: c.TILE_V - (2048 if s.dtype == "fp32" else 4096),
    ),
    reference=reference.argmax,
    tolerance=reference.argmax_tolerance,
    minimal_bytes=reference.argmax_bytes,
    **_COMMON,
)
