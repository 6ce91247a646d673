"""What one task may take, and what a process and all that it started take."""

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SECONDS = 900.0
"""Meant to stop a hang and no slow trial: trials of the shipped kernels take seconds."""
SHARE = 0.75
"""Of the machine's memory that all tasks together may hold."""
LEAST_BYTES = 2 << 30
_PROC = Path("/proc")


@dataclass(frozen=True)
class Limits:
    """Of one task, with everything that its process started.

    Args:
        seconds: Of wall-clock time, by the monotonic clock.
        bytes: Of resident memory; pages that processes share count for each of them.
    """

    seconds: float = SECONDS
    bytes: int = 1 << 62

    @classmethod
    def of(cls, seconds: float | None, gibibytes: float | None, jobs: int) -> "Limits":
        """From what was typed; what was not is `SECONDS`, and an equal part of `SHARE` of the memory for each job.

        Raises:
            ValueError: a limit is not above 0.
        """
        for option, value in (("--trial-seconds", seconds), ("--trial-memory", gibibytes)):
            if value is not None and not value > 0:
                raise ValueError(f"{option} {value:g}: must be above 0")
        room = max(LEAST_BYTES, int(machine_bytes() * SHARE) // jobs)
        return cls(SECONDS if seconds is None else seconds, room if gibibytes is None else int(gibibytes * 2**30))

    def too_long(self) -> str:
        """Why a task was stopped, as what follows "it"."""
        return f"took more than {self.seconds:g} s, the limit (--trial-seconds)"

    def too_large(self) -> str:
        return f"took more than {self.bytes / 2**30:.3g} GiB of memory, the limit (--trial-memory)"


def machine_bytes() -> int:
    """The memory that this process can have: the machine's, or what its control group leaves of it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            total = min(total, int(Path(name).read_text()))
    return total


def tree(process: int) -> list[int]:
    """The process of that number and all below it, parents first; those that have ended are left out."""
    found = [process]
    for each in found:
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(each) / "task").iterdir():
                with contextlib.suppress(OSError):
                    found += map(int, (thread / "children").read_text().split())
    return found


def resident_bytes(processes: Iterable[int]) -> int:
    """Resident memory of processes; one that has ended holds none."""
    pages = 0
    for each in processes:
        with contextlib.suppress(OSError, IndexError):
            pages += int((_PROC / str(each) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kill_tree(process: int) -> None:
    """End a process and all below it, whatever they are doing."""
    for each in tree(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
