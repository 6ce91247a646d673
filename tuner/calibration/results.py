"""The file that a device's times are kept in: one JSON object, whole on disk after every measurement.

Keys: ``format``; ``device``, ``chip``, ``cores``, ``evidence`` (``measured``, or ``stand-in`` for a simulated device);
``versions``; ``sources``, the digest of each kernel; ``date`` of the first measurement; ``rows``, of each ``kind``,
``kernel``, ``case``, ``config`` and either ``us`` (median, microseconds), ``spread`` (half of the distance between the
quartiles, as a share of it) and ``samples``, or ``failure``, or ``running``, how often it was begun and never ended.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole
from cold_kernels.tables import source_digest

from .jobs import Job
from .npu import MeasuredDevice

FORMAT = 1
EVIDENCE = ("measured", "stand-in")
ABOUT = ("device", "chip", "cores", "evidence", "versions")
ATTEMPTS = 2
"""A measurement that the process did not survive so often is not begun again."""


@dataclass
class Results:
    """What was measured so far; `put` writes it to disk."""

    path: Path
    about: dict[str, Any]
    rows: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def done(self, job: Job) -> bool:
        """Whether nothing is left to do for it; a measurement that ends the process twice is a failure."""
        row = self.rows.get(job.key)
        return row is not None and row.get("running", ATTEMPTS) >= ATTEMPTS

    def begin(self, job: Job) -> None:
        """Note that it is being measured, so that a crash is known by what it leaves."""
        begun = self.rows.get(job.key, {}).get("running", 0)
        self.put(job, {"running": begun + 1})

    def drop(self, job: Job) -> None:
        """Forget a measurement that was called off."""
        del self.rows[job.key]
        self._write()

    def put(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Keep an outcome, on disk when this returns."""
        self.about["sources"].setdefault(job.spec.name, source_digest(job.spec))
        name, case, _ = job.key
        self.rows[job.key] = dict(kind=job.kind, kernel=name, case=case, config=dict(job.config), **outcome)
        self._write()

    def _write(self) -> None:
        data = {"format": FORMAT, **self.about, "rows": list(self.rows.values())}
        write_whole(self.path, json.dumps(data, indent=1) + "\n")


def begun(path: Path, device: MeasuredDevice) -> Results:
    """The results in ``path``, which is made with the first measurement.

    Raises:
        ValueError: the file is broken, or belongs to another device or other versions.
    """
    about = {name: getattr(device, "name" if name == "device" else name) for name in ABOUT}
    about = {**about, "versions": dict(about["versions"]), "sources": {}, "date": date.today().isoformat()}
    if not path.exists():
        return Results(path, about)
    found = read(path)
    for name in ABOUT:
        if found.about[name] != about[name]:
            raise ValueError(
                f"{path} holds results of {name} {found.about[name]!r}, and this is {about[name]!r}; give another --out"
            )
    return found


def read(path: Path) -> Results:
    """The results in ``path``.

    Raises:
        ValueError: there is no such file, or it is not one that ``python -m tuner device`` writes; says why.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"{path} is no file of python -m tuner device: format {found!r}, not {FORMAT}")
    about = {name: data.get(name) for name in (*ABOUT, "sources", "date")}
    if absent := [name for name, value in about.items() if value is None]:
        raise ValueError(f"{path} lacks {', '.join(absent)}")
    if about["evidence"] not in EVIDENCE:
        raise ValueError(f"{path}: evidence {about['evidence']!r} is none of {', '.join(EVIDENCE)}")
    rows = {}
    for number, row in enumerate(data.get("rows") or ()):
        if problem := _problem(row):
            raise ValueError(f"{path}: row {number}: {problem}")
        config = " ".join(f"{name}={value}" for name, value in row["config"].items())
        rows[row["kernel"], row["case"], config] = row
    return Results(path, about, rows)


def _problem(row: Any) -> str:
    if not isinstance(row, dict) or not {"kind", "kernel", "case", "config"} <= set(row):
        return f"{row!r} names no kind, kernel, case and config"
    if not isinstance(row["config"], dict):
        return f"config {row['config']!r} is no object"
    if not {"us", "failure", "running"} & set(row):
        return "it has neither us nor a failure"
    if "us" in row:
        for name in ("us", "spread"):
            value = row.get(name)
            if type(value) not in (int, float) or not 0 <= value < float("inf") or (name == "us" and not value):
                return f"{name} = {value!r} is no time"
    return ""
