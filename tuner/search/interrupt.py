"""Ctrl-C that never cuts a write in two."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """Turns SIGINT into KeyboardInterrupt inside `allowed` blocks, and remembers it elsewhere.

    Use it as a context manager in the main thread; the former handler comes back at the end.
    """

    def __init__(self) -> None:
        self.asked = False
        self._allowed = False

    def __enter__(self) -> "Interrupt":
        self._former = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._former)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Work that may be cut off at any point; one remembered from before cuts it off at once."""
        self._allowed = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._allowed = False

    def forget(self) -> None:
        """The interrupt was dealt with; the next one counts anew."""
        self.asked = False

    def _handle(self, *_: object) -> None:
        self.asked = True
        if self._allowed:
            self._allowed = False
            raise KeyboardInterrupt
