"""The report as a file."""

import json
import os
from pathlib import Path
from typing import Any

from ...files import write_whole
from .page import page

KINDS = (".html", ".json")


def check(path: Path) -> Path:
    """The path of a report that can be written.

    Raises:
        ValueError: its name says neither HTML nor JSON, or it cannot be written there.
    """
    if path.suffix not in KINDS:
        raise ValueError(f"report {path}: a name that ends in {' or '.join(KINDS)} is wanted")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"report {path}: {error}") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"report {path} cannot be written")
    return path


def write(path: Path, record: dict[str, Any]) -> str:
    """Write the record as what the path's name says; `record` documents the keys of the JSON.

    Returns:
        What to tell about it: where it is, or why it is not.
    """
    try:
        write_whole(path, page(record) if path.suffix == ".html" else json.dumps(record, indent=1) + "\n")
    except OSError as error:
        return f"no report: {error}"
    return f"report: {path}"
