"""The accepted facts of somebody's kernel, in a file of their repository."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import source_digest

FORMAT = 1


def read(path: Path, spec: KernelSpec, chip: str) -> dict[str, Any]:
    """The accepted facts by case; none where there is no file.

    Raises:
        ValueError: the file is none of these, or is another kernel's or chip's.
    """
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
        if kept["format"] != FORMAT or not isinstance(kept["cases"], dict):
            raise ValueError(f"format {kept['format']!r}")
        whose = kept["kernel"], kept["chip"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no accepted facts: {error}") from error
    if whose != (spec.name, chip):
        raise ValueError(f"{path} is of {whose[0]} on {whose[1]}, not of {spec.name} on {chip}; give another --file")
    return kept["cases"]


def accept(
    path: Path, spec: KernelSpec, chip: str, facts: dict[str, Any], versions: dict[str, str], reason: str
) -> None:
    """Make ``facts`` the accepted ones; the reason and date join those before."""
    before = json.loads(path.read_text())["accepted"] if path.exists() else []
    note = {"date": date.today().isoformat(), "reason": reason}
    content = {
        "format": FORMAT, "kernel": spec.name, "chip": chip, "clock": "simulated", "values compared with": spec.against,
        "versions": versions, "source": source_digest(spec), "accepted": [*before, note], "cases": facts,
    }  # fmt: skip
    write_whole(path, json.dumps(content, indent=1) + "\n")
