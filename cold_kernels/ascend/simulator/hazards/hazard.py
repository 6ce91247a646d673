"""What may go wrong on a device."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..core.operations import Op
from .pairs import Pair

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
        severity: `WARNING` of what makes no result wrong: ``outside``, and a ``race``, ``programs`` or ``stale`` on
            whose bytes nothing depends (`harmless`). Else `ERROR`.
    """

    kind: str
    message: str
    operations: tuple[str, ...]
    program: int = 0
    severity: str = ERROR

    def __str__(self) -> str:
        return f"{self.kind}: {self.message} (program {self.program})"


Key = tuple
"""Of a hazard: its kind and its operations, by identity."""

MOST_KEPT = 20_000
"""Pairs of accesses that are kept of one launch."""


class Found:
    """Hazards, each pair of operations once for each kind, in the order in which they were found."""

    def __init__(self) -> None:
        self._hazards: dict[Key, Hazard] = {}
        self.pairs: defaultdict[Key, list[Pair]] = defaultdict(list)
        """Of hazards that are two accesses to the same bytes, all such pairs."""
        self.alike: list[Pair] = []
        """Pairs of writes of two programs that are no hazard as long as both leave equal bytes."""
        self.complete = True
        """Whether all pairs were looked at and kept."""
        self._kept = 0

    def add(self, kind: str, message: str, *operations: Op, program: int = 0, pair: Pair | None = None) -> None:
        """Note a hazard, and what it is about."""
        key = kind, *map(id, operations)
        severity = WARNING if kind == OUTSIDE else ERROR
        self._hazards.setdefault(key, Hazard(kind, message, tuple(map(repr, operations)), program, severity))
        if pair is not None:
            self._keep(self.pairs[key], pair)

    def same(self, pair: Pair) -> None:
        """Two programs write equal bytes to the same place, and nothing orders them."""
        self._keep(self.alike, pair)

    def again(self, other: "Found", program: int) -> None:
        """What was found of a program is true of another one that does the same."""
        for key, hazard in other._hazards.items():
            self._hazards.setdefault(key, hazard)
            for pair in other.pairs.get(key, ()):
                self._keep(self.pairs[key], Pair(*(side._replace(program=program) for side in pair)))
        self.complete &= other.complete

    def harmless(self, keys: Iterable[Key]) -> None:
        """Nothing depends on these."""
        for key in keys:
            message = self._hazards[key].message + "; nothing depends on it here"
            self._hazards[key] = replace(self._hazards[key], message=message, severity=WARNING)

    def all(self) -> tuple[Hazard, ...]:
        return tuple(self._hazards.values())

    def _keep(self, pairs: list[Pair], pair: Pair) -> None:
        self._kept += 1
        if self._kept > MOST_KEPT:
            self.complete = False
        else:
            pairs.append(pair)
