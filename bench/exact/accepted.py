"""The accepted facts on disk, and how facts differ from them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole

from ..history import FOLDER, checked_reason, note

CYCLES = "simulated cycles"
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


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """What differs between the accepted facts of a case and those of now, a line a fact; "" if nothing does.

    None stands for a case that has no facts.
    """
    if before is None or now is None:
        return "" if before is now else f"the case is {'not accepted yet' if before is None else 'counted no longer'}"
    old, new = dict(_flat(before)), dict(_flat(now))
    lines = [
        (name, _text(old.get(name)), _text(new.get(name)), _percent(old.get(name), new.get(name)))
        for name in old | new
        if old.get(name) != new.get(name)
    ]
    if not lines:
        return ""
    lines.insert(0, ("what", "accepted", "now", "change"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {a:>{widths[1]}}  {b:>{widths[2]}}  {c:>{widths[3]}}".rstrip()
        for name, a, b, c in lines
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}, ")
        else:
            yield above + name, value


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _percent(before: Any, now: Any) -> str:
    if isinstance(before, str | None) or isinstance(now, str | None):
        return ""
    return f"{100 * (now / before - 1):+.1f} %" if before else "from 0"
