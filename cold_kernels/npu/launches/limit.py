"""A limit on the time that one launch may take to simulate."""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Done = TypeVar("Done")


class LaunchTookTooLong(RuntimeError):
    """A launch was ended at its limit; says which, how large it is, and what would help."""


class _TimeIsUp(BaseException):
    pass


def limited(seconds: float | None, what: str, run: Callable[[], Done]) -> Done:
    """What ``run`` returns, which is ended after so many seconds; None for no limit.

    Raises:
        LaunchTookTooLong: it was ended.
    """
    if seconds is None:
        return run()
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
            return run()
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
