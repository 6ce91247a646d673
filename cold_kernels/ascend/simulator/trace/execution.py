"""What a launch did, on any chip."""

from dataclasses import dataclass

from .events import Trace


@dataclass(frozen=True)
class Execution:
    """An executed launch: how often each distinct trace ran, and where."""

    traces: tuple[Trace, ...]
    programs: tuple[int, ...]
    """For each program of the grid, in order, the index of its trace."""
    moved: tuple[int, ...]
    """For each trace, the bytes that it copies from and to global memory."""
    bytes_read: int
    bytes_written: int
    unique_bytes: int
    """Bytes read that the second-level cache does not have: each place once, or more often if it cannot hold it."""
    ub_peak_bytes: int
