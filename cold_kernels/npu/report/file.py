"""The report as a file."""

import json
from pathlib import Path
from typing import Any

from ...files import write_whole
from .page import page

KINDS = (".html", ".json")


def check(path: Path) -> Path:
    """The path of a report that can be written.

    Raises:
        ValueError: its name says neither HTML nor JSON.
    """
    if path.suffix not in KINDS:
        raise ValueError(f"report {path}: a name that ends in {' or '.join(KINDS)} is wanted")
    return path


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the record as what the path's name says; `record` documents the keys of the JSON."""
    write_whole(path, page(record) if path.suffix == ".html" else json.dumps(record, indent=1) + "\n")
