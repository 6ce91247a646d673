"""What a launch did, on any chip."""

from dataclasses import dataclass, field

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
    kinds: tuple[str, ...] = ("AIV",)
    """The kinds of the cores that one program runs on; of a group the cube core first."""
    most: tuple[int, ...] | None = None
    """Of groups, for each trace, what the core copies that copies the most."""
    peak_bytes: dict[str, int] = field(default_factory=dict)
    """Highest planned byte of the cube core's memories that the program names, by address space."""
