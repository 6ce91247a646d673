"""Compiled programs and repeatable failures on disk, a JSON file each; anything in it may go at any time."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from ..files import write_whole
from .errors import CompilationFailed, UnifiedBufferOverflow

FORMAT = 2
"""Raised when what is stored, or how the compiler is called, changes."""


def cache_folder() -> Path:
    """COLD_KERNELS_CACHE, else `cold-kernels/hivm` in the user's cache folder."""
    if chosen := os.environ.get("COLD_KERNELS_CACHE"):
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "cold-kernels" / "hivm"


def cache_key(**parts) -> str:
    """The SHA-256 of everything that decides the output."""
    listed = json.dumps({**parts, "format": FORMAT})
    return hashlib.sha256(listed.encode()).hexdigest()


def load(key: str) -> str | CompilationFailed | None:
    """The HIVM text, or the failure, that was stored; None for an entry that is absent or broken."""
    try:
        entry = json.loads(_file(key).read_text(encoding="utf-8"))
        if (failure := entry.get("failure")) is not None:
            return _failure(failure)
        hivm = entry["hivm"]
        return hivm if hashlib.sha256(hivm.encode()).hexdigest() == entry["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None


def store(key: str, outcome: str | CompilationFailed) -> None:
    """Keeps HIVM text or a failure; a folder that cannot be written to is no error."""
    if isinstance(outcome, str):
        entry = {"hivm": outcome, "sha256": hashlib.sha256(outcome.encode()).hexdigest()}
    elif outcome.deterministic:
        entry = {"failure": _as_entry(outcome)}
    else:
        return
    with suppress(OSError, RuntimeError):  # the latter without a home folder
        write_whole(_file(key), json.dumps(entry))


def _file(key: str) -> Path:
    return cache_folder() / key[:2] / f"{key}.json"


def _as_entry(error: CompilationFailed) -> dict:
    entry = {"stage": error.stage, "diagnostics": error.diagnostics, "kernel": error.kernel}
    if isinstance(error, UnifiedBufferOverflow):
        entry["bits"] = [error.required_bits, error.available_bits]
    return entry


def _failure(entry: dict) -> CompilationFailed:
    said = entry["stage"], entry["diagnostics"], entry["kernel"]
    if "bits" in entry:
        required, available = entry["bits"]
        return UnifiedBufferOverflow(*said, required_bits=required, available_bits=available)
    return CompilationFailed(*said)
