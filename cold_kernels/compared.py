"""What the installed compiler makes of configurations that were tuned with another one: compared once, kept on disk."""

import functools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .files import write_whole

FORMAT = 1


@dataclass(frozen=True)
class Comparison:
    """A kernel's tuned programs, compiled again.

    Args:
        versions: The compiler's parts that compiled them again.
        source: Digest of the kernel's text, as in its tables.
        same: Of the programs that came out byte for byte as they were judged, their digests in the tables.
        different: Of those that came out as others.
        broken: Of those that did not compile.
    """

    versions: Mapping[str, str]
    source: str
    same: frozenset[str]
    different: frozenset[str]
    broken: frozenset[str]


def place(directory: Path, chip: str, kernel: str) -> Path:
    """Where the comparison of a kernel is kept, beside the tables in ``directory``."""
    return directory / chip / f"{kernel}.compared"


def keep(path: Path, comparison: Comparison) -> None:
    """Write ``comparison``, whole or not at all, in place of an older one."""
    record = dict(
        format=FORMAT,
        versions=dict(comparison.versions),
        source=comparison.source,
        same=sorted(comparison.same),
        different=sorted(comparison.different),
        broken=sorted(comparison.broken),
    )
    write_whole(path, json.dumps(record, indent=1) + "\n")
    kept.cache_clear()


@functools.cache
def kept(path: Path) -> Comparison | None:
    """What is kept there; None without it. A broken file is skipped with one warning."""
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, not {FORMAT}")
        found = (frozenset(data[name]) for name in ("same", "different", "broken"))
        return Comparison(dict(data["versions"]), str(data["source"]), *found)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        warnings.warn(f"skipping {path}: {problem!s}", stacklevel=2)
        return None
