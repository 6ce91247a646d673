"""Which of the accesses that nothing orders do no harm: the launch comes out the same whatever they see.

In any order that a device may choose, an access sees or leaves other bytes than in the simulated one only where it is
one of a pair that nothing orders. So a read of such a pair is given other bytes, and of two such writes that leave
different ones the later leaves other bytes behind: what comes out the same then does not depend on the order. The
other bytes are what the other access leaves or finds there, and patterns.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..core.regions import Region
from .hazard import PROGRAMS, RACE, STALE, Found, Key
from .pairs import Pair, Side, shared, taken
from .poison import PATTERNS, Spoil

ORDERS = (RACE, PROGRAMS, STALE)
"""Kinds of hazards that are two accesses in an order that nothing says."""

MOST_BYTES = 1 << 28
"""Bytes of writes that are kept to be compared; of a launch with more nothing is said."""

MOST_APART = 8
"""Hazards that are looked at one by one where not all of them are harmless."""

Same = Callable[[list[Spoil], list[Side]], bool]
"""Whether a launch comes out the same with such bytes, and these writes leave what they left without."""


def settle(found: Found, written: "Written", same: Same) -> None:
    """Make warnings of hazards that do no harm.

    Args:
        written: What the writes of `racing_writes` found and left.
    """
    keys = [key for key in found.pairs if key[0] in ORDERS]

    def harmless(chosen: Sequence[Key]) -> bool:
        pairs = [pair for key in chosen for pair in found.pairs[key]]
        doubts = Doubts(pairs + found.alike, written)
        # Beside others that do harm no write of theirs may change either: it may come last in another order.
        kept = doubts.equal if chosen is keys else written.sides
        return all(same(spoils, kept) for spoils in doubts.ways())

    if harmless(keys):
        found.harmless(keys)
    elif 1 < len(keys) <= MOST_APART:
        innocent = [key for key in keys if harmless([key])]
        if innocent and (len(innocent) == 1 or harmless(innocent)):
            found.harmless(innocent)


def racing_writes(found: Found) -> list[Side] | None:
    """The writes whose bytes `settle` has to know; None where it cannot say anything."""
    pairs = [pair for key, pairs in found.pairs.items() if key[0] in ORDERS for pair in pairs]
    if not pairs or not found.complete:
        return None
    writes = {_key(side): side for pair in (*pairs, *found.alike) for side in pair if side.writes}
    if sum(_size(side.region) for side in writes.values()) > MOST_BYTES:
        return None
    return list(writes.values())


class Written:
    """Observes a core: keeps what writes find at their places and what they leave there."""

    def __init__(self, core, writes: Iterable[Side]) -> None:
        self.core, self.sides = core, list(dict.fromkeys(writes))
        self.bytes: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        """By `_key`."""
        self._writes: defaultdict[tuple, list[Side]] = defaultdict(list)
        for side in self.sides:
            self._writes[side.program, side.place, side.op].append(side)

    def __call__(self, op, touches, step, env: list) -> None:
        sides = self._writes.get((self.core.block, len(self.core.trace), op), ()) if touches else ()
        before = [taken(side.region) for side in sides]
        step(env)
        for side, found in zip(sides, before, strict=True):
            self.bytes[_key(side)] = found, taken(side.region)

    def left_alike(self, other: "Written") -> bool:
        """Whether the writes that this one has seen leave what the other one has seen of them."""
        return all(np.array_equal(left, other.bytes[key][1]) for key, (_, left) in self.bytes.items())


class _Doubt(NamedTuple):
    """An access that may see or leave other bytes; ``found`` and ``left`` are what the other one finds and leaves."""

    side: Side
    where: np.ndarray
    found: np.ndarray
    left: np.ndarray


class Doubts:
    """The bytes that accesses of pairs may see or leave otherwise.

    Args:
        pairs: Of which nothing orders the two.
        written: What their writes found and left.
    """

    def __init__(self, pairs: Iterable[Pair], written: Written) -> None:
        self._reads: dict[tuple, _Doubt] = {}
        self._writes: dict[tuple, _Doubt] = {}
        self.equal: list[Side] = []
        """Writes that leave the bytes of another one, which has to stay so."""
        for pair in dict.fromkeys(pairs):
            first, second = pair
            ours, theirs = shared(first.region, second.region)
            if first.writes and second.writes:
                (found, left), (_, last) = written.bytes[_key(first)], written.bytes[_key(second)]
                if first.atomic or second.atomic or not np.array_equal(left[ours], last[theirs]):
                    _note(self._writes, second, theirs, found[ours], left[ours])
                else:
                    self.equal += pair
            elif first.writes:
                _note(self._reads, second, theirs, *(content[ours] for content in written.bytes[_key(first)]))
            else:
                _note(self._reads, first, ours, *(content[theirs] for content in written.bytes[_key(second)]))

    def ways(self) -> Iterator[list[Spoil]]:
        """Other bytes, in several ways; patterns first, which show the most."""
        for pattern in PATTERNS:
            yield self._spoils(lambda doubt, byte=pattern: byte)
        for number in range(2):
            random = np.random.default_rng(number)
            yield self._spoils(lambda doubt, draw=random.integers: draw(0, 256, int(doubt.where.sum()), np.uint8))
        for name in ("found", "left"):
            yield self._spoils(lambda doubt, of=name: getattr(doubt, of)[doubt.where])

    def _spoils(self, content: Callable[[_Doubt], int | np.ndarray]) -> list[Spoil]:
        return [
            Spoil(*doubt.side[:4], doubt.where, content(doubt), behind)
            for behind, doubts in enumerate((self._reads, self._writes))
            for doubt in doubts.values()
        ]


def _note(doubts: dict[tuple, _Doubt], side: Side, where, found: np.ndarray, left: np.ndarray) -> None:
    size = _size(side.region)
    if _key(side) not in doubts:
        doubts[_key(side)] = _Doubt(side, np.zeros(size, np.bool_), *(np.zeros(size, np.uint8) for _ in range(2)))
    doubt = doubts[_key(side)]
    doubt.where[where], doubt.found[where], doubt.left[where] = True, found, left


def _key(side: Side) -> tuple:
    region = side.region
    place = id(region.allocation.data), region.start, region.run, region.shape, region.strides
    return side.program, side.place, side.op, place


def _size(region: Region) -> int:
    return int(np.prod(region.shape, dtype=np.int64)) * region.run
