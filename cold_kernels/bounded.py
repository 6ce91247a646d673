"""Memory of what was found before, with room for a limited number of answers."""

import threading
from collections.abc import Hashable
from typing import Any


class Bounded(dict[Hashable, Any]):
    """A dictionary of at most ``most`` keys: `keep` drops the one that was kept first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self._lock = threading.Lock()

    def keep(self, key: Hashable, value: Any) -> None:
        """Store ``value``; safe beside look-ups and other threads' calls."""
        with self._lock:
            if key not in self and len(self) >= self.most:
                del self[next(iter(self))]
            self[key] = value
