"""Which tokens top-k and top-p keep, in Triton: by bisection over the bits of float32, so that no score is sorted."""

import triton
import triton.language as tl

from .score import NOWHERE, _contrast

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
def _weight_of(key, best, inverse):
    """Of one token; the scalar unit has no exponential."""
    return tl.max(_weight(tl.full([8], 0.0, tl.float32) + _score(key), best, inverse), axis=0)


@triton.jit
def _threshold(
    p_e, p_a, cutoff, beta, b_1, b_2, b_3, best, inverse, top_k, top_p,
    V: tl.constexpr, TILE_V: tl.constexpr, FEW: tl.constexpr,
):  # fmt: skip
    """What top-k and top-p keep: tokens above a key and so many at it, what they weigh and one at it; if it has more.

    Three searches in one loop, as each needs a pass over the row where the lanes lack a score: for the number and
    weight of all tokens, for the ``top_k``-th, for the one with which ``top_p`` is reached. ``low`` is the highest key
    known to have enough from there up, ``high`` the lowest known not to. If ``FEW``, ``b_1`` has all scores.
    """
    b_w1 = _weight(b_1, best, inverse)
    if not FEW:
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
            if not FEW:
                b_n += tl.where(b_2 >= least, 1.0, 0.0)
                b_m += tl.where(b_2 >= least, b_w2, 0.0)
                b_n += tl.where(b_3 >= least, 1.0, 0.0)
                b_m += tl.where(b_3 >= least, b_w3, 0.0)
            n = tl.sum(b_n, axis=0)
            m = tl.sum(b_m, axis=0)
            whole = n
            if not FEW:
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
                whole = tl.where(lacks, float("inf"), n)
            enough = (n >= n_enough) & (m >= m_enough)
            low = tl.where(enough, middle, low)
            n_low = tl.where(enough, whole, n_low)
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
