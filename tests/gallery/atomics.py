"""Atomic operations that the copy engine lacks: bits and exchange, under a mask."""

import torch
import triton
import triton.language as tl

from .example import Example, ExampleLaunch, Maker


@triton.jit
def set_bits(flags_ptr, x_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + tl.program_id(0) * TILE + o_n, mask=o_n < n, other=0)
    tl.atomic_or(flags_ptr + o_n, x, mask=o_n < n)


@triton.jit
def keep_bits(flags_ptr, x_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + tl.program_id(0) * TILE + o_n, mask=o_n < n, other=0)
    tl.atomic_and(flags_ptr + o_n, x, mask=o_n < n)


@triton.jit
def exchange(place_ptr, x_ptr, n, TILE: tl.constexpr):
    o_n = tl.arange(0, TILE)
    x = tl.load(x_ptr + tl.program_id(0) * TILE + o_n, mask=o_n < n, other=0)
    tl.atomic_xchg(place_ptr + o_n, x, mask=o_n < n)


def bits(kernel, n: int) -> Example:
    """Three programs change the same flags."""
    x, flags = torch.randint(0, 1 << 30, (3, 64), dtype=torch.int32), torch.full((64,), 0b1010, dtype=torch.int32)
    expected = flags.clone()
    for row in x:
        expected[:n] = expected[:n] | row[:n] if kernel is set_bits else expected[:n] & row[:n]
    return Example([ExampleLaunch(kernel, [flags, x, n], dict(TILE=64), (3,))], [(flags, expected, 0.0)])


def exchanged(n: int) -> Example:
    """The last program's values stay, since programs pass the compiler's lock in order."""
    x, place = torch.randint(0, 1000, (3, 64), dtype=torch.int32), torch.full((64,), -1, dtype=torch.int32)
    expected = torch.cat([x[2, :n], place[n:]])
    return Example([ExampleLaunch(exchange, [place, x, n], dict(TILE=64), (3,))], [(place, expected, 0.0)])


EXAMPLES: dict[str, Maker] = {
    "set_bits-int32-3x50": lambda: bits(set_bits, 50),
    "keep_bits-int32-3x50": lambda: bits(keep_bits, 50),
    "exchange-int32-3x50": lambda: exchanged(50),
}
