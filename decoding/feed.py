"""What a row is given in a pass."""

from typing import NamedTuple


class Feed(NamedTuple):
    """Tokens for a row, one or more; the pass gives the logits after the last of them."""

    row: int
    tokens: list[int]
