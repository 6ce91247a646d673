"""What a launch writes to its tensors, so that it can be taken back."""

from collections.abc import Iterable

import numpy as np

from ..core.regions import Region
from ..core.spaces import Workspace

ROOM = 32 << 20
"""Bytes that copies are kept in together: NumPy asks for as much in large pages, which are quicker to come by."""


class Undo:
    """Copies of bytes from before they were written: no more memory than what is written."""

    def __init__(self) -> None:
        self._before: list[tuple[np.ndarray, np.ndarray, bool]] = []
        self._room, self._used = np.empty(0, np.uint8), 0

    def keep(self, written: Iterable[Region]) -> int:
        """Copy the global ones of these regions, which are about to be written; for `changes`, where they begin."""
        first = len(self._before)
        for region in written:
            inside = region.start >= 0 and region.end <= len(region.allocation.data)  # else the write is refused
            if inside and not region.allocation.local:
                place = region.of(region.allocation.data)
                counts = not isinstance(region.allocation, Workspace)
                self._before.append((place, self._copied(place), counts))
        return first

    def _copied(self, place: np.ndarray) -> np.ndarray:
        size = place.size
        if size > ROOM:
            return place.copy()
        if size > len(self._room) - self._used:
            grown = min(ROOM, max(size, 2 * len(self._room)))
            self._room, self._used = np.empty(grown, np.uint8), 0
        before = self._room[self._used : self._used + size].reshape(place.shape)
        self._used += size
        before[...] = place
        return before

    def changes(self, first: int) -> list[np.ndarray]:
        """Of each place kept from there on, which bytes are no longer what they were."""
        return [place != before for place, before, _ in self._before[first:]]

    def contents(self) -> list[bytes]:
        """What is there now, by place in the order of the writes; what the workspace holds means nothing."""
        return [place.tobytes() for place, _, counts in self._before if counts]

    def back(self) -> None:
        """Put everything back as it was."""
        for place, before, _ in reversed(self._before):
            place[...] = before
