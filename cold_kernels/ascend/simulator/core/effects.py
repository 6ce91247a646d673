"""What an operation reads and writes when it runs."""

from typing import NamedTuple

from .regions import Region


class Effects(NamedTuple):
    """What an operation reads and writes.

    Args:
        reads, writes: Bytes; of a loop of scalar work all that it might touch.
        atomic: Whether the writes are atomic additions, maxima or minima.
    """

    reads: tuple[Region, ...]
    writes: tuple[Region, ...]
    atomic: bool = False
