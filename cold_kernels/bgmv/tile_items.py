"""Tiles of rows as work for the cores, in Triton: how many there are, and what each is."""

import triton
import triton.language as tl


@triton.jit
def tiles_to_do(tiles_ptr, T, N):
    """How many tiles there are where the list says so (``N`` > 0); else each row is one."""
    tiles = T
    if N > 0:
        tiles = tl.minimum(tl.load(tiles_ptr), T)
    return tiles


@triton.jit
def tile_of(tile, tiles_ptr, tiles_stride, idx_ptr, T, N):
    """First row, number of rows and slot of a tile."""
    tile = tl.minimum(tile, T - 1)
    first = tile
    rows = tl.minimum(T, 1)
    if N > 0:
        p_tile = tiles_ptr + 1 + tile
        first = tl.load(p_tile)
        rows = tl.load(p_tile + tiles_stride)
        slot = tl.load(p_tile + 2 * tiles_stride).to(tl.int64)
    else:
        slot = tl.load(idx_ptr + tile).to(tl.int64)
    return tl.cast(first, tl.int64), rows, slot
