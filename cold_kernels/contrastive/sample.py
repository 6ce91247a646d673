"""A draw from the softmax of the contrastive scores in Triton: temperature, top-k, top-p, then one number a row.

No score is sorted: both thresholds are found by bisection over the bits of float32. A launch before finds the highest
expert logit of each block (`tops.py`). Mostly the mask leaves tokens in few blocks; these stay in the unified buffer,
and nothing else is read. Where it leaves more, the three highest scores of each lane stay there, and where they are not
all that count, the row is read again.
"""

import triton
import triton.language as tl

from ..limits import MAX_CHOICES
from ..spec import KernelSpec
from ..stage import Stage
from ..tunables import AutoMultiBuffer, Choice, PipelineDepth, PowerOf2, Warps
from . import arguments, sample_reference
from .reach import _reach
from .score import _COMMON, _TILE_PAST_ROW, _UNHINTED, NOWHERE, _block, _contrast, _first_nan, _row, _tiles
from .threshold import _key, _threshold, _tile
from .tops import _tops, block_size

COLDEST = tl.constexpr(2.0**-126)
"""A lower temperature counts as 0: the smallest normal float32."""
IN_BLOCKS = tl.constexpr(MAX_CHOICES)
"""Of a longer row no blocks are known."""


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
    """The scores in the blocks that reach the cutoff, at most ``TAKE``, and where blocks begin; positions ascend."""
    LAST: tl.constexpr = V - SIZE if V > SIZE else 0
    SKIP: tl.constexpr = (V + SIZE - 1) // SIZE * SIZE - SIZE - LAST
    b_left = (BLOCKS - tl.arange(0, BLOCKS)).to(tl.float32)
    b_left = tl.sort(tl.where(b_top >= cutoff, b_left, 0.0), descending=True)
    # The first TAKE, as all others are 0.
    b_here = tl.max(tl.reshape(b_left, [BLOCKS // TAKE, TAKE]), axis=0)
    b_at = tl.minimum((BLOCKS - b_here).to(tl.int32) * SIZE, LAST)
    b_e = _block(p_e, b_at, V, SIZE, TAKE, float("-inf"))
    b_a = _block(p_a, b_at, V, SIZE, TAKE, 0.0)
    # No token counts twice: empty places are at the end, and the row's last block may begin in the one before.
    # From rows and columns, as the compiler has scalar code for one range over both.
    b_o = (tl.arange(0, TAKE) * SIZE).to(tl.float32)[:, None] + tl.arange(0, SIZE).to(tl.float32)[None, :]
    b_o = tl.reshape(b_o, [TAKE * SIZE])
    start = (reaching - 1.0) * SIZE
    skipped = tl.where(last >= cutoff, start + SKIP, start)
    b_y = _contrast(b_e, b_a, cutoff, beta)
    b_y = tl.where(b_o < start + SIZE, b_y, float("-inf"))
    if SKIP > 0:
        b_y = tl.where(b_o < start, b_y, tl.where(b_o < skipped, float("-inf"), b_y))
    return b_y, b_at.to(tl.float32)


@triton.jit
def _position(place, b_at, SIZE: tl.constexpr, TAKE: tl.constexpr):
    """In the row, of a place in these blocks."""
    b_block = tl.arange(0, TAKE).to(tl.float32)
    begin = tl.max(tl.where(b_block == tl.cast(place // SIZE, tl.float32), b_at, 0.0), axis=0)
    return begin + tl.cast(place % SIZE, tl.float32)


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
                    b_y, b_at = _few(p_e, p_a, beta, b_top, last, reaching, cutoff, V, SIZE, BLOCKS, TAKE)
                    place = _drawn(
                        p_e, p_a, b_y, b_y, b_y, cutoff, beta, temperature, top_k, top_p, uniform,
                        V, TAKE * SIZE, 1, True,
                    )  # fmt: skip
                    at = _position(tl.cast(place, tl.int32), b_at, SIZE, TAKE)
            if reaching > TAKE:
                b_1, b_2, b_3 = _highest(p_e, p_a, cutoff, beta, V, TILE_V, DEPTH)
                at = _drawn(
                    p_e, p_a, b_1, b_2, b_3, cutoff, beta, temperature, top_k, top_p, uniform, V, TILE_V, DEPTH, False
                )
        tl.store(choice_ptr + item, at.to(choice_ptr.dtype.element_ty))


def _block_size(config, shape):
    """Logits of a block; rows of more than `MAX_CHOICES` are not cut into blocks."""
    return block_size(min(shape.V, MAX_CHOICES), config.BLOCKS)


def _taken(config, shape):
    """Logits of the blocks that are looked into."""
    return config.TAKE * _block_size(config, shape)


_LEGAL = dict(
    **_TILE_PAST_ROW,
    block_past_tile=lambda c, s: _block_size(c, s) - c.TILE_V,
    long_sums=lambda c, s: -(-s.V // c.TILE_V) + 16 - sample_reference.longest_sum(s.V),
)

contrastive_sample = KernelSpec(
    name="contrastive_sample",
    stages=(
        Stage(_tops, _tiles, when=lambda c, s: s.V <= MAX_CHOICES),
        Stage(_sample, lambda c, s, cores: (min(s.B, cores),)),
    ),
    args=arguments.SAMPLE,
    space=dict(
        TILE_V=PowerOf2(256, 2048, default=2048),
        SPLIT_V=Choice(1, 2, 4, 8, 16, 32, default=8),
        BLOCKS=PowerOf2(128, 4096, default=512),
        TAKE=PowerOf2(8, 16, default=16),
        DEPTH=PipelineDepth(upto=2, default=2),
        AUTO=AutoMultiBuffer(),
    ),
    constraints=dict(**_LEGAL, taken_past_buffer=lambda c, s: _taken(c, s) - 4096),
    # The three highest scores of each lane and what they weigh stay in registers.
    gpu=dict(
        space=dict(
            TILE_V=PowerOf2(256, 2048, default=512),
            SPLIT_V=PowerOf2(1, 64, default=16),
            BLOCKS=PowerOf2(128, 4096, default=512),
            TAKE=PowerOf2(8, 16, default=8),
            WARPS=Warps(upto=16, default=8),
        ),
        constraints=dict(
            **_LEGAL,
            tile_past_registers=lambda c, s: c.TILE_V - 64 * c.WARPS,
            taken_past_registers=lambda c, s: _taken(c, s) - 256 * c.WARPS,
        ),
        invariant=("TILE_V", "BLOCKS", "TAKE", "WARPS"),
        counts=_UNHINTED,
    ),
    # Few rows: interpreted, a row takes a second.
    hard=("B=1 V=1", "B=12 V=200", "B=2 V=7", "B=3 V=1100 strided", "B=1 V=32000"),
    invariant=("TILE_V", "BLOCKS", "TAKE"),
    reference=sample_reference.sample,
    tolerance=sample_reference.sample_tolerance,
    minimal_bytes=sample_reference.sample_bytes,
    **({name: value for name, value in _COMMON.items() if name != "hard"}),
)
