"""A draw from the softmax of the contrastive scores in Triton: temperature, top-k, top-p, then one number a row.

Nothing is sorted: both thresholds are found by bisection over the bits of float32. The three highest scores of each
lane stay in the unified buffer, and mostly they are all that count; where they are not, the row is read again.
"""

import triton
import triton.language as tl

from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, PipelineDepth, PowerOf2, Warps
from . import arguments, sample_reference
from .score import _COMMON, _TILE_PAST_ROW, _UNHINTED, NOWHERE, _contrast, _first_nan, _row

COLDEST = tl.constexpr(2.0**-126)
"""A lower temperature counts as 0: the smallest normal float32."""
LOWEST = tl.constexpr(-0x7F800001)
"""The key of minus infinity."""


@triton.jit
def _key(score):
    """An integer for a float32 number, in the same order and without gaps."""
    bits = score.to(tl.int32, bitcast=True)
    return tl.where(score == 0.0, 0, bits ^ ((bits >> 31) & 0x7FFFFFFF))


@triton.jit
def _score(key):
    """The float32 number of that key."""
    return (key ^ ((key >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@triton.jit
def _weight(b_y, best, inverse):
    """Probabilities over that of the best token; ``inverse`` is of the temperature."""
    return tl.exp((b_y - best) * inverse)


@triton.jit
def _tile(p_e, p_a, v, cutoff, beta, V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr):
    """The scores of the tile at ``v``."""
    o_v = v + tl.arange(0, TILE_V)
    b_e = tl.load(p_e + o_v, mask=o_v < V, other=float("-inf"))  # [TILE_V]
    b_a = tl.load(p_a + o_v, mask=o_v < V, other=0.0)  # [TILE_V]
    if DEPTH > 1:
        tl.compile_hint(b_e, "hivm.multi_buffer", DEPTH)
        tl.compile_hint(b_a, "hivm.multi_buffer", DEPTH)
    return _contrast(b_e, b_a, cutoff, beta)


@triton.jit
def _highest(p_e, p_a, cutoff, beta, V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr):
    """The three highest scores of each lane, in order."""
    ALL: tl.constexpr = tl.PropagateNan.ALL  # one instruction; there is no NaN
    b_1 = tl.full([TILE_V], float("-inf"), tl.float32)
    b_2 = tl.full([TILE_V], float("-inf"), tl.float32)
    b_3 = tl.full([TILE_V], float("-inf"), tl.float32)
    for v in range(0, V, TILE_V):
        b_y = _tile(p_e, p_a, v, cutoff, beta, V, TILE_V, DEPTH)
        b_low = tl.minimum(b_1, b_y, propagate_nan=ALL)
        b_1 = tl.maximum(b_1, b_y, propagate_nan=ALL)
        b_3 = tl.maximum(b_3, tl.minimum(b_2, b_low, propagate_nan=ALL), propagate_nan=ALL)
        b_2 = tl.maximum(b_2, b_low, propagate_nan=ALL)
    return b_1, b_2, b_3


@triton.jit
def _kept(
    p_e, p_a, v, cutoff, beta, key, end, best, inverse,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr, COUNT: tl.constexpr,
):  # fmt: skip
    """The weights of a tile's tokens from ``key`` up, from position ``end`` on only above it; or 1 for each at it."""
    b_y = _tile(p_e, p_a, v, cutoff, beta, V, TILE_V, DEPTH)
    if COUNT:
        b_w = tl.where(b_y == _score(key), 1.0, 0.0)
    else:
        b_v = tl.arange(0, TILE_V).to(tl.float32)
        b_least = tl.where(b_v < end - tl.cast(v, tl.float32), _score(key), _score(key + 1))
        b_w = tl.where(b_y >= b_least, _weight(b_y, best, inverse), 0.0)
    return b_w


@triton.jit
def _reach(
    p_e, p_a, cutoff, beta, key, end, goal, best, inverse,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr, COUNT: tl.constexpr,
):  # fmt: skip
    """The first position up to which there is more than ``goal``, else the last that adds to it; and all there is."""
    total = 0.0
    start = 0
    left = goal
    for v in range(0, V, TILE_V):
        b_w = _kept(p_e, p_a, v, cutoff, beta, key, end, best, inverse, V, TILE_V, DEPTH, COUNT)
        mass = tl.sum(b_w, axis=0)
        here = (mass > 0.0) & (total <= goal)
        start = tl.where(here, v, start)
        left = tl.where(here, goal - total, left)
        total += mass
    b_w = _kept(p_e, p_a, start, cutoff, beta, key, end, best, inverse, V, TILE_V, 1, COUNT)
    b_v = tl.arange(0, TILE_V).to(tl.float32)
    mass = tl.sum(b_w, axis=0)
    low = 0
    high = TILE_V
    while low + 1 < high:
        middle = (low + high) // 2
        before = tl.sum(tl.where(b_v < tl.cast(middle, tl.float32), b_w, 0.0), axis=0)
        past = (before > left) | (before >= mass)
        low = tl.where(past, low, middle)
        high = tl.where(past, middle, high)
    return tl.cast(start + low, tl.float32), total


@triton.jit
def _weight_of(key, best, inverse):
    """Of one token; the scalar unit has no exponential."""
    return tl.max(_weight(tl.full([8], 0.0, tl.float32) + _score(key), best, inverse), axis=0)


@triton.jit
def _threshold(
    p_e, p_a, cutoff, beta, b_1, b_2, b_3, best, inverse, top_k, top_p,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """What top-k and top-p keep: tokens above a key and so many at it, what they weigh and one at it; if it has more.

    Three searches in one loop, as each needs a pass over the row where the lanes lack a score: for the number and
    weight of all tokens, for the ``top_k``-th, for the one with which ``top_p`` is reached. ``low`` is the highest key
    known to have enough from there up, ``high`` the lowest known not to.
    """
    b_w1 = _weight(b_1, best, inverse)
    b_w2 = _weight(b_2, best, inverse)
    b_w3 = _weight(b_3, best, inverse)
    lacking = tl.max(b_3, axis=0)  # no higher score is missing in the lanes
    guess = _key(best - 16.0 / inverse)  # what weighs less will not matter much
    top = _key(best) + 1
    low = LOWEST
    high = LOWEST + 2
    n_low = float("inf")
    m_low = 0.0
    n_high = 0.0
    m_high = 0.0
    n_enough = NOWHERE
    m_enough = 0.0
    keep = NOWHERE
    total = 0.0
    weight = 0.0
    floor = LOWEST
    exact = 0  # 1 where the tokens from ``low`` up are those to keep
    for phase in range(3):
        while (low + 1 < high) & (exact == 0):
            middle = (low & high) + ((low ^ high) >> 1)  # their mean, without overflow
            middle = tl.where((low < guess) & (guess < high), guess, middle)
            least = _score(middle)
            b_n = tl.where(b_1 >= least, 1.0, 0.0)
            b_m = tl.where(b_1 >= least, b_w1, 0.0)
            b_n += tl.where(b_2 >= least, 1.0, 0.0)
            b_m += tl.where(b_2 >= least, b_w2, 0.0)
            b_n += tl.where(b_3 >= least, 1.0, 0.0)
            b_m += tl.where(b_3 >= least, b_w3, 0.0)
            n = tl.sum(b_n, axis=0)
            m = tl.sum(b_m, axis=0)
            lacks = (lacking >= least) & (lacking > float("-inf"))
            if ((n < n_enough) | (m < m_enough)) & lacks:
                b_n = tl.zeros([TILE_V], tl.float32)
                b_m = tl.zeros([TILE_V], tl.float32)
                for v in range(0, V, TILE_V):
                    b_y = _tile(p_e, p_a, v, cutoff, beta, V, TILE_V, 1)  # in a while loop no buffers take turns
                    b_n += tl.where(b_y >= least, 1.0, 0.0)
                    b_m += tl.where(b_y >= least, _weight(b_y, best, inverse), 0.0)
                n = tl.sum(b_n, axis=0)
                m = tl.sum(b_m, axis=0)
                lacks = lacking < least
            enough = (n >= n_enough) & (m >= m_enough)
            low = tl.where(enough, middle, low)
            n_low = tl.where(enough, tl.where(lacks, float("inf"), n), n_low)
            m_low = tl.where(enough, m, m_low)
            high = tl.where(enough, high, middle)
            n_high = tl.where(enough, n_high, n)
            m_high = tl.where(enough, m_high, m)
            exact = tl.where((n_low == n_enough) | (n_low - n_high <= 1.0), 1, 0)
        if phase == 0:
            total = m_high
            if (top_k > 0) & (tl.cast(top_k, tl.float32) < n_high):
                n_enough = tl.cast(top_k, tl.float32)
                high = top
                n_high = 0.0
                m_high = 0.0
        else:
            weight = _weight_of(low, best, inverse)
            if phase == 1:
                keep = tl.where(n_enough < NOWHERE, n_enough - n_high, keep)
            elif top_p < 1.0:
                needed = tl.maximum((m_enough - m_high) / weight, 1.0)
                whole_needed = tl.cast(tl.cast(tl.minimum(needed, NOWHERE), tl.int32), tl.float32)
                needed = tl.where(whole_needed < needed, whole_needed + 1.0, whole_needed)
                keep = tl.where(low > floor, needed, tl.minimum(keep, needed))
            keep = tl.minimum(keep, n_low - n_high)
            total = tl.where(exact == 1, m_low, m_high + keep * weight)
            if phase == 1:
                if top_p < 1.0:
                    floor = low
                    n_enough = 0.0
                    m_enough = top_p * total
                    high = top
                    n_high = 0.0
                    m_high = 0.0
                    exact = 0
    more = (exact == 0) & (keep < n_low - n_high) & (low > LOWEST)
    return low, keep, total, weight, more


@triton.jit(
    do_not_specialize=[
        "B", "expert_stride_B", "amateur_stride_B", "log_alpha_stride_B", "beta_stride_B", "temperature_stride_B",
        "top_k_stride_B", "top_p_stride_B", "uniform_stride_B",
    ]
)  # fmt: skip
def _sample(
    expert_ptr, amateur_ptr, choice_ptr, log_alpha_ptr, beta_ptr, temperature_ptr, top_k_ptr, top_p_ptr, uniform_ptr, B,
    expert_stride_B, amateur_stride_B, log_alpha_stride_B, beta_stride_B,
    temperature_stride_B, top_k_stride_B, top_p_stride_B, uniform_stride_B,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    for item in range(tl.program_id(0), B, tl.num_programs(0)):
        row = tl.cast(item, tl.int64)
        p_e = expert_ptr + row * expert_stride_B
        p_a = amateur_ptr + row * amateur_stride_B
        p_log_alpha = log_alpha_ptr + row * log_alpha_stride_B
        temperature = tl.load(temperature_ptr + row * temperature_stride_B)
        top_k = tl.load(top_k_ptr + row * top_k_stride_B)
        top_p = tl.load(top_p_ptr + row * top_p_stride_B)
        uniform = tl.load(uniform_ptr + row * uniform_stride_B)
        cutoff, beta, nan = _row(p_e, p_log_alpha, beta_ptr + row * beta_stride_B, V, TILE_V, DEPTH)
        if nan:
            _, at = _first_nan(p_e, 0, V, V, TILE_V)
        else:
            b_1, b_2, b_3 = _highest(p_e, p_a, cutoff, beta, V, TILE_V, DEPTH)
            best = tl.max(b_1, axis=0)
            draws = (temperature >= COLDEST) & (tl.abs(best) < float("inf"))
            inverse = 1.0 / tl.maximum(temperature, COLDEST)
            key = _key(best)
            keep = 1.0
            total = 1.0
            weight = 0.0
            more = best == best
            if draws:
                key, keep, total, weight, more = _threshold(
                    p_e, p_a, cutoff, beta, b_1, b_2, b_3, best, inverse, top_k, top_p, V, TILE_V, DEPTH
                )
            at = NOWHERE
            if more:
                at, same = _reach(p_e, p_a, cutoff, beta, key, at, keep - 0.5, best, inverse, V, TILE_V, DEPTH, True)
                total -= tl.maximum(keep - same, 0.0) * weight
            if draws:
                at, _ = _reach(
                    p_e, p_a, cutoff, beta, key, at + 1.0, uniform * total, best, inverse, V, TILE_V, DEPTH, False
                )
        tl.store(choice_ptr + row, at.to(choice_ptr.dtype.element_ty))


def _long_sums(config, shape):
    return -(-shape.V // config.TILE_V) + 16 - sample_reference.longest_sum(shape.V)


contrastive_sample = KernelSpec(
    name="contrastive_sample",
    stages=(Stage(_sample, lambda c, s, cores: (min(s.B, cores),)),),
    args=arguments.SAMPLE,
    space=dict(
        TILE_V=PowerOf2(256, 2048, default=2048), DEPTH=PipelineDepth(upto=2, default=2), AUTO=AutoMultiBuffer()
    ),
    constraints=dict(**_TILE_PAST_ROW, long_sums=_long_sums),
    # The three highest scores of each lane and what they weigh stay in registers.
    gpu=dict(
        space=dict(TILE_V=PowerOf2(256, 4096, default=1024), WARPS=Warps(upto=16, default=8)),
        constraints=dict(
            **_TILE_PAST_ROW, long_sums=_long_sums, tile_past_registers=lambda c, s: c.TILE_V - 256 * c.WARPS
        ),
        invariant=("TILE_V", "WARPS"),
        counts=_UNHINTED,
    ),
    hard=("B=1 V=1", "B=12 V=200", "B=2 V=7", "B=3 V=1100 strided", "B=1 V=32000"),
    invariant=("TILE_V",),
    reference=sample_reference.sample,
    tolerance=sample_reference.sample_tolerance,
    minimal_bytes=sample_reference.sample_bytes,
    **{name: value for name, value in _COMMON.items() if name != "hard"},  # interpreted, a row takes a second
)
