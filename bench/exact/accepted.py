"""The accepted facts on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole
from tuner.gate.difference import CYCLES

from ..history import FOLDER, checked_reason, note

ACCEPT = 'python -m bench accept --reason "..."'


def path_of(chip: str, kernel: str, folder: Path = FOLDER) -> Path:
    return folder / chip / f"{kernel}.json"


def read(chip: str, kernel: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """The accepted facts by case; none if nothing was ever accepted."""
    path = path_of(chip, kernel, folder)
    return json.loads(path.read_text())["cases"] if path.exists() else {}


def accept(chip: str, found: Mapping[str, Mapping[str, dict]], reason: str, folder: Path = FOLDER) -> dict[str, int]:
    """Make ``found``, facts by kernel and case, the accepted ones, and note in the history what changed.

    Returns:
        For each kernel with a change, how many of its cases changed, came or went; nothing is written without one.

    Raises:
        ValueError: the reason is empty.
    """
    reason = checked_reason(reason)
    changes: dict[str, dict[str, float | None]] = {}
    for kernel, cases in found.items():
        before = read(chip, kernel, folder)
        changed = {
            case: cases.get(case, {}).get(CYCLES) for case in before | cases if before.get(case) != cases.get(case)
        }
        if changed:
            changes[kernel] = changed
    if changes:
        note(folder, dict(reason=reason, chip=chip, cycles=changes))
    for kernel in changes:
        content = {"kernel": kernel, "chip": chip, "cases": found[kernel]}
        write_whole(path_of(chip, kernel, folder), json.dumps(content, indent=1) + "\n")
    return {kernel: len(cases) for kernel, cases in changes.items()}
