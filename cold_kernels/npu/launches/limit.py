"""A limit on the time that one launch may take to simulate."""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class LaunchTookTooLong(RuntimeError):
    """A launch was ended at its limit; says which, how large it is, and what would help."""


class _TimeIsUp(BaseException):
    pass


@contextmanager
def limited(seconds: float | None, what: str) -> Iterator[None]:
    """End the body after so many seconds; None for no limit.

    Raises:
        LaunchTookTooLong: the body was ended.
    """
    if seconds is None:
        yield
        return
    thread, done, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def watch() -> None:
        if not done.wait(seconds):
            with lock:
                if not done.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TimeIsUp))

    started = time.monotonic()
    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            yield
        finally:
            with lock:  # from here on nobody ends this thread
                done.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
    except _TimeIsUp:
        took = time.monotonic() - started
        raise LaunchTookTooLong(
            f"{what} was ended after {took:.0f} s of simulation; the limit is {seconds:g} s a launch "
            f"(--npu-limit): fewer programs or smaller shapes simulate faster"
        ) from None
