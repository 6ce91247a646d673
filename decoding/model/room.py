"""How much room is set aside for keys and values."""

import functools

BLOCK = 64
"""Tokens. Room is set aside in whole blocks."""
GROWTH = 1.25
"""Room for more tokens than a row has is at most so much more, or a block."""
EMPTY = 0.75
"""A shelf that is used less than so far is copied into one that fits."""


@functools.cache
def room(tokens: int) -> int:
    """Tokens for which room is set aside, for a row of so many."""
    size = BLOCK
    while size < tokens:
        size = max(size + BLOCK, int(size * GROWTH) // BLOCK * BLOCK)
    return size


def room_of_window(window: int) -> int:
    """Tokens for which room is set aside where a query sees so many: some more, so that they are moved seldom."""
    return -(-(window + window // 16) // BLOCK) * BLOCK
