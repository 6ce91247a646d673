"""Where the weights of a row's kept tokens, added up in the order of their ids, pass a number."""

import triton
import triton.language as tl

from .threshold import _score, _tile, _weight


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
