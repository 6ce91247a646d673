"""What an instruction costs, in counts that do not depend on the chip."""

import functools
from dataclasses import dataclass

SCALAR, VECTOR, LOAD, STORE = "S", "V", "MTE2", "MTE3"
LOAD_L0, MULTIPLY, FIX = "MTE1", "M", "FIX"
PIPES = (SCALAR, VECTOR, LOAD, STORE)
CUBE_PIPES = (SCALAR, MULTIPLY, LOAD, LOAD_L0, FIX)
"""Of a cube core: L1 -> L0A and L0B, the multiplication, and L0C -> global memory."""
ALL_PIPES = (*PIPES, *CUBE_PIPES[1:2], *CUBE_PIPES[3:])


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """One operation's work on one pipe. Build it with `work`, which keeps one object for equal work.

    Args:
        pipe: Who does it.
        counts: ``(constant, times)``: cycles are the sum of ``times`` of each of `chips.CONSTANTS`.
        global_bytes: What it moves to or from global memory.
        drains: Whether the scalar unit waits, before issuing it, until the vector pipe is idle.
        blocks: Whether the scalar unit waits for its end.
        fallback: Why the scalar unit does it element by element (`fallbacks`), empty where it does not.
    """

    pipe: str
    counts: tuple[tuple[str, float], ...]
    global_bytes: int = 0
    drains: bool = False
    blocks: bool = False
    fallback: str = ""


@functools.cache
def work(
    pipe: str,
    counts: tuple[tuple[str, float], ...],
    global_bytes: int = 0,
    drains: bool = False,
    blocks: bool = False,
    fallback: str = "",
) -> Work:
    """The one `Work` of these figures; counts of one constant are added up, and those of zero left out."""
    total: dict[str, float] = {}
    for name, times in counts:
        total[name] = total.get(name, 0) + times
    return Work(pipe, tuple(item for item in total.items() if item[1]), global_bytes, drains, blocks, fallback)
