"""The file that keeps every trial: one writer at a time, and a kill at any moment leaves it readable."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from cold_kernels.tables import path_of

BLOCK = 1 << 16


def journal_path(folder: Path, chip: str, kernel: str) -> Path:
    """Where ``autotune`` keeps the trials of a kernel: beside its table."""
    return path_of(folder, chip, kernel).with_name(f"{kernel}.journal")


class JournalBusy(ValueError):
    """Another process is tuning into the same journal."""


class _HeldThroughout(JournalFileOpenLock):
    """Does nothing: `journal` holds the file throughout, and a killed process lets go of it."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextmanager
def journal(path: Path) -> Iterator[JournalStorage]:
    """Optuna's storage on ``path``, which is made if it is not there.

    Raises:
        JournalBusy: another process holds the file.
        OSError: the file cannot be written.
        ValueError: it is no journal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalBusy(f"another autotune writes to {path}; wait for it, or give --output") from None
        try:
            check(file)
            cut_half_a_line(file)
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_HeldThroughout(str(path))))
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{path} is no journal of trials ({error}); move it away") from error
        yield storage


def check(file) -> None:
    """Raise unless all lines are records; the last may be the beginning of one."""
    file.seek(0)
    for number, line in enumerate(file, 1):
        if line.endswith(b"\n"):
            if not (isinstance(record := json.loads(line), dict) and "op_code" in record):
                raise ValueError(f"line {number} is no record")
        elif not line.startswith(b"{"):
            raise ValueError(f"line {number} is no record")


def cut_half_a_line(file) -> None:
    """Drop what a process that was killed, or found the disk full, left behind the last whole record."""
    size = file.seek(0, os.SEEK_END)
    end, whole = size, size == 0
    while end and not whole:
        start = max(0, end - BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        whole = newline >= 0
        end = start + newline + 1 if whole else start
    if end != size:
        file.truncate(end)
