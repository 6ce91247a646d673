"""Streams and events of the simulated device: launches are done when they return, so there is one order."""

import torch

from .clock import clock


class Stream:
    """A queue of launches; all of them are one here.

    Args:
        device, priority: Taken and not needed, as on a device that has one queue.
    """

    npu_stream = 0
    stream_id = 0

    def __init__(self, device=None, priority: int = 0, **_) -> None:
        self.priority = priority
        self._outer = None

    @property
    def device(self) -> torch.device:
        return torch.device("npu", 0)

    def synchronize(self) -> None:
        """Return when all is done, which it is."""

    def query(self) -> bool:
        """Whether all is done."""
        return True

    def wait_stream(self, stream: "Stream") -> None:
        """Wait for what is queued in another stream, which is done."""

    def wait_event(self, event: "Event") -> None:
        """Wait for an event, which has come."""

    def record_event(self, event: "Event | None" = None) -> "Event":
        """Record an event, a new one if none is given, and return it."""
        event = event or Event()
        event.record(self)
        return event

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_) -> None:
        return None


class Event:
    """A point in simulated device time."""

    def __init__(self, enable_timing: bool = False, **_) -> None:
        self._at: float | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Take the time."""
        self._at = clock.microseconds

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds of simulated device time until ``end``: of Triton launches alone, operators of torch take none.

        Raises:
            RuntimeError: one of the events was not recorded.
        """
        if self._at is None or end._at is None:
            raise RuntimeError("both events must be recorded before the time between them can be taken")
        return (end._at - self._at) / 1e3

    def synchronize(self) -> None:
        """Return when the event has come, which it has."""

    def query(self) -> bool:
        """Whether it has come."""
        return True

    def wait(self, stream: Stream | None = None) -> None:
        """Let a stream wait for it, which it need not."""


_only = Stream()


def current_stream(device=None) -> Stream:
    """The stream that launches go to."""
    return _only
