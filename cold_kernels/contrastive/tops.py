"""The first of two launches in Triton: the expert's highest logit in each block of a row.

A row is cut into at most `BLOCKS` blocks of a power of two logits, and all cores work on the tiles of all rows. From a
few numbers the launch that follows knows the row's cutoff, and which blocks have a token that reaches it.
"""

import triton
import triton.language as tl

SMALLEST_BLOCK = 128
"""Logits: as many fp16 numbers as a vector instruction takes at once."""


def block_size(vocabulary: int, blocks: int) -> int:
    """Logits of a block where a row has at most so many blocks; the kernels say the same in their own constants."""
    return max(SMALLEST_BLOCK, triton.next_power_of_2(-(-vocabulary // blocks)))


@triton.jit
def _higher(one, other):
    return tl.maximum(one, other, propagate_nan=tl.PropagateNan.ALL)  # one instruction; there is no NaN


@triton.jit
def _tile(expert_ptr, expert_stride_B, item, items, V: tl.constexpr, TILE_V: tl.constexpr, DEPTH: tl.constexpr):
    """The expert's logits in the tile of that number, -inf past the last one: [TILE_V]."""
    TILES: tl.constexpr = (V + TILE_V - 1) // TILE_V
    row = tl.cast(tl.minimum(item, items - 1) // TILES, tl.int64)
    o_v = tl.where(item < items, item % TILES * TILE_V, V) + tl.arange(0, TILE_V)
    b_e = tl.load(expert_ptr + row * expert_stride_B + o_v, mask=o_v < V, other=float("-inf"))
    if DEPTH > 1:
        tl.compile_hint(b_e, "hivm.multi_buffer", DEPTH)
    return b_e


@triton.jit(do_not_specialize=["B", "expert_stride_B"])
def _tops(
    expert_ptr, top_ptr, B, expert_stride_B,
    V: tl.constexpr, TILE_V: tl.constexpr, BLOCKS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Of a block with NaN infinity, which the next launch looks into: what ``max`` makes of NaN is undocumented."""
    POWER: tl.constexpr = triton.next_power_of_2((V + BLOCKS - 1) // BLOCKS)
    SIZE: tl.constexpr = POWER if POWER > 128 else 128
    HERE: tl.constexpr = TILE_V // SIZE
    TILES: tl.constexpr = (V + TILE_V - 1) // TILE_V
    HALF: tl.constexpr = tl.float16 if expert_ptr.dtype.element_ty == tl.float16 else tl.float32  # no bf16
    items = B * TILES
    step = tl.num_programs(0)
    first = tl.program_id(0)
    b_e = _tile(expert_ptr, expert_stride_B, first, items, V, TILE_V, 1)
    for item in range(first, items, step):
        b_next = _tile(expert_ptr, expert_stride_B, item + step, items, V, TILE_V, DEPTH)
        b_e = b_e.to(HALF)
        b_e = tl.where(b_e == b_e, b_e, float("inf"))
        b_top = tl.reduce(tl.reshape(b_e, [HERE, SIZE]), 1, _higher)
        p_top = top_ptr + tl.cast(item // TILES, tl.int64) * BLOCKS + item % TILES * HERE
        tl.store(p_top + tl.arange(0, HERE), b_top.to(tl.float32))
        b_e = b_next
