"""What a launch writes to its tensors, so that it can be taken back."""

from collections.abc import Iterable

import numpy as np

from ..core.regions import Region
from ..core.spaces import Workspace


class Undo:
    """Copies of bytes from before they were written: no more memory than what is written."""

    def __init__(self) -> None:
        self._before: list[tuple[np.ndarray, np.ndarray, bool]] = []

    def keep(self, written: Iterable[Region]) -> int:
        """Copy the global ones of these regions, which are about to be written; for `changes`, where they begin."""
        first = len(self._before)
        for region in written:
            inside = region.start >= 0 and region.end <= len(region.allocation.data)  # else the write is refused
            if inside and not region.allocation.local:
                place = region.of(region.allocation.data)
                counts = not isinstance(region.allocation, Workspace)
                self._before.append((place, place.copy(), counts))
        return first

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
