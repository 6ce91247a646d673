"""Records on disk the moment they are made, a line each, so that a run that was killed goes on."""

import json
from pathlib import Path
from typing import Any


class Journal:
    """Records of one run, which ``owner`` tells from all others.

    Args:
        folder: Where the file is or will be; its name follows from ``owner``.
        owner: JSON values; the file's first line.

    Raises:
        ValueError: a line before the last that is no JSON object.
    """

    def __init__(self, folder: Path, name: str, owner: dict[str, Any]) -> None:
        self.path = folder / f"{name}.jsonl"
        self.records: list[dict[str, Any]] = []
        folder.mkdir(parents=True, exist_ok=True)
        whole = self._read() if self.path.exists() else 0
        self._file = open(self.path, "r+b" if self.path.exists() else "w+b")
        self._file.truncate(whole)  # a line that was being written when the run was killed
        self._file.seek(whole)
        if not whole:
            self._write(owner)

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self._write(record)
        self.records.append(record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()

    def _read(self) -> int:
        """Take in the records; bytes of whole lines come back."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError:
                raise ValueError(f"{self.path}:{number} is damaged; delete the file to begin anew") from None
            if number > 1:
                self.records.append(record)
        return whole
