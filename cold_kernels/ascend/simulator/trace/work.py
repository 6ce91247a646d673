"""What an instruction costs, in counts that do not depend on the chip."""

import functools
from dataclasses import dataclass

SCALAR, VECTOR, LOAD, STORE = "S", "V", "MTE2", "MTE3"
PIPES = (SCALAR, VECTOR, LOAD, STORE)


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """One operation's work on one pipe. Build it with `work`, which keeps one object for equal work.

    Args:
        pipe: Who does it.
        counts: ``(constant, times)``: cycles are the sum of ``times`` of each of `chips.CONSTANTS`.
        global_bytes: What it moves to or from global memory.
        drains: Whether the scalar unit waits, before issuing it, until the vector pipe is idle.
        blocks: Whether the scalar unit waits for its end.
    """

    pipe: str
    counts: tuple[tuple[str, float], ...]
    global_bytes: int = 0
    drains: bool = False
    blocks: bool = False


@functools.cache
def work(
    pipe: str,
    counts: tuple[tuple[str, float], ...],
    global_bytes: int = 0,
    drains: bool = False,
    blocks: bool = False,
) -> Work:
    """The one `Work` of these figures; counts of zero are left out."""
    return Work(pipe, tuple(item for item in counts if item[1]), global_bytes, drains, blocks)


# Events of a program's trace, as (kind, ...) tuples. The last field, an operation or pairs of them and how often, says
# where in the program they come from.
SCALAR_WORK = 0  # (kind, scalar operations, ((operation, times), ...))
ISSUE = 1  # (kind, operation, Work)
SET_FLAG = 2  # (kind, source pipe, waiting pipe, event, operation)
WAIT_FLAG = 3  # (kind, source pipe, waiting pipe, event, operation)
BARRIER = 4  # (kind, pipe or "ALL", operation)
SCALAR_ACCESS = 5  # (kind, whether the unified buffer and not global memory, times, operation)
LOCK = 6  # (kind, lock, operation): programs pass it in the order of the grid
UNLOCK = 7  # (kind, lock, operation)
ARRIVE = 8  # (kind, pipe, flag, operation): this program has come to a barrier of all cores, when the pipe is done
MEET = 9  # (kind, flag, operation): nothing is issued until all programs have
