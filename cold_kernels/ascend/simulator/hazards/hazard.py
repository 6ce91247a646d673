"""What may go wrong on a device."""

from dataclasses import dataclass

from ..core.operations import Op

RACE, UNWRITTEN, FLAG, PROGRAMS, STALE, BARRIER = "race", "unwritten", "flag", "programs", "stale", "barrier"
OUTSIDE = "outside"

ERROR, WARNING = "error", "warning"
"""How bad a hazard is: the program may come out wrong, or does something that a device does not forgive everywhere."""


@dataclass(frozen=True)
class Hazard:
    """What a device may do otherwise than the program means.

    Args:
        kind: ``race``: two pipes, or two instructions that overlap on one, touch the same bytes, at least one writing,
            and no chain of flags and barriers orders them. ``unwritten``: bytes of a buffer are read that were never
            written through it, and the result depends on them. ``flag``: waited for and never set, set and never
            waited for, or set twice. ``programs``: two programs of a launch touch the same bytes of a tensor, at least
            one writing, without atomics or a lock, and not only equal bytes. ``stale``: a scalar load of what a copy of
            this launch wrote, which the scalar unit's cache does not see. ``barrier``: one of all cores, with another
            number of programs.
            ``outside``: a read of global memory outside of every tensor, on which nothing depends.
        message: What happens, with operations and lines of the Triton source.
        operations: The operations, each as ``name at file:line``.
        program: The first program of the grid that does it.
    """

    kind: str
    message: str
    operations: tuple[str, ...]
    program: int = 0

    @property
    def severity(self) -> str:
        """`WARNING` of what makes no result wrong (``outside``), else `ERROR`."""
        return WARNING if self.kind == OUTSIDE else ERROR

    def __str__(self) -> str:
        return f"{self.kind}: {self.message} (program {self.program})"


class Found:
    """Hazards, each pair of operations once for each kind, in the order in which they were found."""

    def __init__(self) -> None:
        self._hazards: dict[tuple, Hazard] = {}

    def add(self, kind: str, message: str, *operations: Op, program: int = 0) -> None:
        self._hazards.setdefault(
            (kind, *map(id, operations)), Hazard(kind, message, tuple(map(repr, operations)), program)
        )

    def all(self) -> tuple[Hazard, ...]:
        return tuple(self._hazards.values())
