"""Simulated device time; launches move it on, nothing else does."""


class Clock:
    """Microseconds of simulated device time, and launches, since the device was set up."""

    def __init__(self) -> None:
        self.microseconds, self.launches = 0.0, 0

    def launched(self, microseconds: float) -> None:
        """A launch took so long."""
        self.microseconds += microseconds
        self.launches += 1


clock = Clock()
