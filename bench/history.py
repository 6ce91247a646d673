"""What was accepted, when and why: a line for each time, shared by facts and wall-clock times."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("accepted")
"""The accepted figures."""
HISTORY = "history.jsonl"


def checked_reason(reason: str) -> str:
    """The reason in one line; ValueError if there is none."""
    if not reason.split():
        raise ValueError("--reason is empty; say what changed and why that is right")
    return " ".join(reason.split())


def note(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add a line with today's date to the history."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / HISTORY).open("a") as file:
        file.write(json.dumps({"date": date.today().isoformat(), **entry}) + "\n")


def history(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """What was accepted, oldest first; ``cycles`` holds the changed cases alone, None for one that went."""
    path = folder / HISTORY
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
