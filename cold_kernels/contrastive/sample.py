"""A draw from the softmax of the contrastive scores in Triton: temperature, top-k, top-p, then one number a row.

No score is sorted: both thresholds are found by bisection over the bits of float32. A launch before finds the highest
expert logit of each block (`tops.py`). Mostly the mask leaves tokens in few blocks; these stay in the unified buffer,
and nothing else is read. Where it leaves more, the three highest scores of each lane stay there, and where they are not
all that count, the row is read again.
"""

import triton
import triton.language as tl

from ..arguments import Workspace
from ..limits import MAX_CHOICES
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2
from . import arguments, sample_reference
from .score import _COMMON, _TILE_PAST_ROW, NOWHERE, _block, _contrast, _first_nan, _row, _tiles
from .tops import _tops, block_size

COLDEST = tl.constexpr(2.0**-126)
"""A lower temperature counts as 0: the smallest normal float32."""
LOWEST = tl.constexpr(-0x7F800001)
"""The key of minus infinity."""
IN_BLOCKS = tl.constexpr(MAX_CHOICES)
"""Of a longer row no blocks are known."""


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
def _few(
    p_e, p_a, beta, b_top, last, reaching, cutoff,
    V: tl.constexpr, SIZE: tl.constexpr, BLOCKS: tl.constexpr, TAKE: tl.constexpr
):  # fmt: skip
    """The scores in the blocks that reach the cutoff, at most ``TAKE``, and where they are; positions ascend."""
    LAST: tl.constexpr = V - SIZE if V > SIZE else 0
    SKIP: tl.constexpr = (V + SIZE - 1) // SIZE * SIZE - SIZE - LAST
    b_left = (BLOCKS - tl.arange(0, BLOCKS)).to(tl.float32)
    b_left = tl.sort(tl.where(b_top >= cutoff, b_left, 0.0), descending=True)
    # The first TAKE, as all others are 0.
    b_here = tl.max(tl.reshape(b_left, [BLOCKS // TAKE, TAKE]), axis=0)
    b_at = tl.minimum((BLOCKS - b_here).to(tl.int32) * SIZE, LAST)
    b_e = _block(p_e, b_at, V, SIZE, TAKE, float("-inf"))
    b_a = _block(p_a, b_at, V, SIZE, TAKE, 0.0)
    b_v = b_at.to(tl.float32)[:, None] + tl.arange(0, SIZE).to(tl.float32)[None, :]
    # No token counts twice: empty places are at the end, and the row's last block may begin in the one before.
    b_o = tl.arange(0, TAKE * SIZE).to(tl.float32)
    start = (reaching - 1.0) * SIZE
    skipped = tl.where(last >= cutoff, start + SKIP, start)
    b_y = _contrast(b_e, b_a, cutoff, beta)
    b_y = tl.where(b_o < start + SIZE, b_y, float("-inf"))
    if SKIP > 0:
        b_y = tl.where(b_o < start, b_y, tl.where(b_o < skipped, float("-inf"), b_y))
    return b_y, tl.reshape(b_v, [TAKE * SIZE])


@triton.jit
def _kept(b_y, key, end, best, inverse, SIZE: tl.constexpr, COUNT: tl.constexpr):
    """The weights of the tokens from ``key`` up, from place ``end`` on only above it; or 1 for each at it."""
    if COUNT:
        b_w = tl.where(b_y == _score(key), 1.0, 0.0)
    else:
        b_o = tl.arange(0, SIZE).to(tl.float32)
        b_least = tl.where(b_o < end, _score(key), _score(key + 1))
        b_w = tl.where(b_y >= b_least, _weight(b_y, best, inverse), 0.0)
    return b_w


@triton.jit
def _place(b_w, left, SIZE: tl.constexpr):
    """The first place up to which there is more than ``left``, else the last that adds to it."""
    b_o = tl.arange(0, SIZE).to(tl.float32)
    mass = tl.sum(b_w, axis=0)
    low = 0
    high = SIZE
    while low + 1 < high:
        middle = (low + high) // 2
        before = tl.sum(tl.where(b_o < tl.cast(middle, tl.float32), b_w, 0.0), axis=0)
        past = (before > left) | (before >= mass)
        low = tl.where(past, low, middle)
        high = tl.where(past, middle, high)
    return low, mass


@triton.jit
def _reach(
    p_e, p_a, b_few, cutoff, beta, key, end, goal, best, inverse,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr, COUNT: tl.constexpr, FEW: tl.constexpr,
):  # fmt: skip
    """The first position up to which there is more than ``goal``, else the last that adds to it; and all there is."""
    if FEW:
        low, total = _place(_kept(b_few, key, end, best, inverse, TILE_V, COUNT), goal, TILE_V)
        at = tl.cast(low, tl.float32)
    else:
        total = 0.0
        start = 0
        left = goal
        for v in range(0, V, TILE_V):
            b_y = _tile(p_e, p_a, v, cutoff, beta, V, TILE_V, DEPTH)
            mass = tl.sum(_kept(b_y, key, end - tl.cast(v, tl.float32), best, inverse, TILE_V, COUNT), axis=0)
            here = (mass > 0.0) & (total <= goal)
            start = tl.where(here, v, start)
            left = tl.where(here, goal - total, left)
            total += mass
        b_y = _tile(p_e, p_a, start, cutoff, beta, V, TILE_V, 1)
        b_w = _kept(b_y, key, end - tl.cast(start, tl.float32), best, inverse, TILE_V, COUNT)
        low, _ = _place(b_w, left, TILE_V)
        at = tl.cast(start + low, tl.float32)
    return at, total


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


@triton.jit
def _drawn(
    p_e, p_a, b_1, b_2, b_3, cutoff, beta, temperature, top_k, top_p, uniform,
    V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr, FEW: tl.constexpr,
):  # fmt: skip
    """The position drawn; if ``FEW``, the place in ``b_1``."""
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
            p_e, p_a, cutoff, beta, b_1, b_2, b_3, best, inverse, top_k, top_p, V, TILE_V, FEW
        )
    at = NOWHERE
    if more:
        at, same = _reach(p_e, p_a, b_1, cutoff, beta, key, at, keep - 0.5, best, inverse, V, TILE_V, DEPTH, True, FEW)
        total -= tl.maximum(keep - same, 0.0) * weight
    if draws:
        at, _ = _reach(
            p_e, p_a, b_1, cutoff, beta, key, at + 1.0, uniform * total, best, inverse, V, TILE_V, DEPTH, False, FEW
        )
    return at


@triton.jit(
    do_not_specialize=[
        "B", "expert_stride_B", "amateur_stride_B", "log_alpha_stride_B", "beta_stride_B", "temperature_stride_B",
        "top_k_stride_B", "top_p_stride_B", "uniform_stride_B",
    ]
)  # fmt: skip
def _sample(
    expert_ptr, amateur_ptr, top_ptr, choice_ptr, log_alpha_ptr, beta_ptr, temperature_ptr, top_k_ptr, top_p_ptr,
    uniform_ptr, B, expert_stride_B, amateur_stride_B, log_alpha_stride_B, beta_stride_B,
    temperature_stride_B, top_k_stride_B, top_p_stride_B, uniform_stride_B,
    V: tl.constexpr, TILE_V: tl.constexpr, BLOCKS: tl.constexpr, TAKE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    POWER: tl.constexpr = triton.next_power_of_2((V + BLOCKS - 1) // BLOCKS)
    SIZE: tl.constexpr = POWER if POWER > 128 else 128
    USED: tl.constexpr = (V + SIZE - 1) // SIZE
    o_b = tl.arange(0, BLOCKS)
    for item in range(tl.program_id(0), B, tl.num_programs(0)):
        row = tl.cast(item, tl.int64)
        p_e = expert_ptr + row * expert_stride_B
        p_a = amateur_ptr + row * amateur_stride_B
        temperature = tl.load(temperature_ptr + row * temperature_stride_B)
        top_k = tl.load(top_k_ptr + row * top_k_stride_B)
        top_p = tl.load(top_p_ptr + row * top_p_stride_B)
        uniform = tl.load(uniform_ptr + row * uniform_stride_B)
        p_log_alpha = log_alpha_ptr + row * log_alpha_stride_B
        p_beta = beta_ptr + row * beta_stride_B
        if V <= IN_BLOCKS:
            b_top = tl.load(top_ptr + row * BLOCKS + o_b, mask=o_b < USED, other=float("-inf"))
            last = tl.load(top_ptr + row * BLOCKS + USED - 1)
            beta = tl.load(p_beta)
            top = tl.max(b_top, axis=0)
            cutoff = top + tl.load(p_log_alpha)
            reaching = tl.sum(tl.where(b_top >= cutoff, 1.0, 0.0), axis=0)
            search = top == float("inf")
        else:
            cutoff, beta, search = _row(p_e, p_log_alpha, p_beta, V, TILE_V, DEPTH)
            reaching = NOWHERE
        nan = NOWHERE
        if search:
            _, nan = _first_nan(p_e, 0, V, V, TILE_V)
        at = nan
        if nan == NOWHERE:
            if V <= IN_BLOCKS:
                if reaching <= TAKE:
                    b_y, b_v = _few(p_e, p_a, beta, b_top, last, reaching, cutoff, V, SIZE, BLOCKS, TAKE)
                    place = _drawn(
                        p_e, p_a, b_y, b_y, b_y, cutoff, beta, temperature, top_k, top_p, uniform,
                        V, TAKE * SIZE, 1, True,
                    )  # fmt: skip
                    at = tl.max(tl.where(tl.arange(0, TAKE * SIZE).to(tl.float32) == place, b_v, 0.0), axis=0)
            if reaching > TAKE:
                b_1, b_2, b_3 = _highest(p_e, p_a, cutoff, beta, V, TILE_V, DEPTH)
                at = _drawn(
                    p_e, p_a, b_1, b_2, b_3, cutoff, beta, temperature, top_k, top_p, uniform, V, TILE_V, DEPTH, False
                )
        tl.store(choice_ptr + item, at.to(choice_ptr.dtype.element_ty))


contrastive_sample = KernelSpec(
    name="contrastive_sample",
    stages=(
        Stage(_tops, _tiles, when=lambda c, s: s.V <= MAX_CHOICES),
        Stage(_sample, lambda c, s, cores: (min(s.B, cores),)),
    ),
    args=dict(**arguments.SAMPLE, top=Workspace("B BLOCKS", "fp32")),
    space=dict(
        TILE_V=PowerOf2(256, 2048, default=2048),
        SPLIT_V=Choice(1, 2, 4, 8, 16, 32, default=8),
        BLOCKS=PowerOf2(128, 4096, default=512),
        TAKE=PowerOf2(8, 16, default=16),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(
        **_TILE_PAST_ROW,
        block_past_tile=lambda c, s: block_size(min(s.V, MAX_CHOICES), c.BLOCKS) - c.TILE_V,
        taken_past_buffer=lambda c, s: c.TAKE * block_size(min(s.V, MAX_CHOICES), c.BLOCKS) - 4096,
        long_sums=lambda c, s: -(-s.V // c.TILE_V) + 16 - sample_reference.longest_sum(s.V),
    ),
    # Few rows: interpreted, a row takes a second.
    hard=("B=1 V=1", "B=12 V=200", "B=2 V=7", "B=3 V=1100 strided", "B=1 V=32000"),
    invariant=("TILE_V", "BLOCKS", "TAKE"),
    reference=sample_reference.sample,
    tolerance=sample_reference.sample_tolerance,
    minimal_bytes=sample_reference.sample_bytes,
    **({name: value for name, value in _COMMON.items() if name != "hard"}),
)
