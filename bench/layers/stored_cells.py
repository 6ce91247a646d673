"""Cells of a grid on disk: a line a cell, written once it is counted, valid while what it depends on is the same."""

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cold_kernels.code_digest import code_digest
from cold_kernels.files import write_whole

FORMAT = 2
"""Of a line; what older versions wrote is not read: its times were those of another clock."""


class CellOfGrid(Protocol):
    """What is counted: hashable, and a chip's."""

    chip: str

    @property
    def words(self) -> dict[str, Any]:
        """The cell as JSON; `CellStore.parse` reads it."""

    @property
    def small(self) -> bool:
        """Whether it is counted in seconds, not minutes."""


Cell = TypeVar("Cell", bound=CellOfGrid)


@dataclass(frozen=True)
class SignedCells:
    """What came of a chip's cells: how many are valid now, how many were counted again, and those that differ."""

    valid: int
    recounted: int
    different: tuple[str, ...]

    def __str__(self) -> str:
        if self.different:
            listed = "".join(f"\n  {cell}" for cell in self.different)
            return f"{len(self.different)} of {self.recounted} counted again have other figures; run `grid`:{listed}"
        return f"{self.valid} valid" + (f", signed after counting {self.recounted} again" if self.recounted else "")


@dataclass(frozen=True)
class CellStore(Generic[Cell]):
    """Where cells of one kind are kept, and how they come to be.

    Args:
        folder: Has a file for each chip.
        parse: Makes a cell of its ``words``.
        count: What is found of a cell, as JSON; raises AscendError where something does not compile.
        digest: By chip, of all that a cell's figures depend on. After a dash comes that of the configurations in the
            tables alone: they may change some cells and not others, so that a sample says nothing of the rest.
    """

    folder: Path
    parse: Callable[[dict[str, Any]], Cell]
    count: Callable[[Cell], dict]
    digest: Callable[[str], str]

    def stored(self) -> Iterator[tuple[Cell, str, dict]]:
        """Each cell on disk, the digest that it was counted with, and what was found; the last one of a cell counts."""
        for path in sorted(self.folder.glob("*.jsonl")):
            lines = {}
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # a line that a crash cut off
                if entry.get("format") == FORMAT:
                    key = json.dumps(entry["cell"], sort_keys=True)
                    lines.pop(key, None)  # so that the order is that of the last lines
                    lines[key] = entry
            for entry in lines.values():
                yield self.parse(entry["cell"]), entry["digest"], entry["found"]

    def latest(self) -> dict[Cell, dict]:
        """Of each chip the cells that were counted with the same kernels as the last one; needs no compiler."""
        everything = list(self.stored())
        last = {cell.chip: mark for cell, mark, _ in everything}
        return {cell: found for cell, mark, found in everything if last[cell.chip] == mark}

    def current(self) -> dict[Cell, dict]:
        """The cells that were counted with the kernels, tables and model of now."""
        everything = list(self.stored())
        marks = {chip: self.digest(chip) for chip in {cell.chip for cell, *_ in everything}}
        return {cell: found for cell, mark, found in everything if marks[cell.chip] == mark}

    def known(self, wanted: Sequence[Cell], progress: Callable[[int, Cell], None]) -> dict[Cell, dict]:
        """What was found of these cells: from disk where nothing has changed since, else counted now and stored.

        Args:
            progress: Called before a cell is counted, with how many are done.

        Raises:
            AscendError: something does not compile; `ToolchainMissing` without a compiler.
        """
        marks = {chip: self.digest(chip) for chip in {cell.chip for cell in wanted}}
        have = {cell: found for cell, mark, found in self.stored() if marks.get(cell.chip) == mark}
        for done, cell in enumerate(wanted):
            if cell not in have:
                progress(done, cell)
                have[cell] = self.count(cell)
                self.store(cell, marks[cell.chip], have[cell])
        return {cell: have[cell] for cell in wanted}

    def store(self, cell: Cell, mark: str, found: dict) -> None:
        """Add a line for the cell; it is on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{cell.chip}.jsonl"
        cut = path.exists() and not path.read_bytes().endswith(b"\n")  # by a crash
        entry = {"format": FORMAT, "cell": cell.words, "digest": mark, "found": found}
        with path.open("a") as file:
            file.write("\n" * cut + json.dumps(entry, separators=(",", ":")) + "\n")
            file.flush()

    def sign(self, recount: int) -> Iterator[tuple[str, SignedCells]]:
        """Give the cells on disk the digest of today's code where a sample of them has the same figures.

        The cells of a chip that `latest` shows were counted by one state of the code, so that what holds for a sample
        of them holds for all; small cells are drawn, as others take minutes.

        Args:
            recount: How many of each chip are counted again.

        Raises:
            ValueError: the shipped tables have other configurations than the cells were counted with.
            AscendError: something does not compile; `ToolchainMissing` without a compiler.
        """
        everything = list(self.stored())
        last = {cell.chip: mark for cell, mark, _ in everything}
        for chip, mark in last.items():
            found = {cell: each for cell, was, each in everything if cell.chip == chip and was == mark}
            now = self.digest(chip)
            if mark == now:
                yield chip, SignedCells(len(found), 0, ())
                continue
            if mark.partition("-")[2] != now.partition("-")[2]:
                raise ValueError(
                    f"the tables of {chip} have other configurations than its cells were counted with; run grid"
                )
            small = [cell for cell in found if cell.small]
            drawn = random.Random(f"sign/{chip}").sample(small, min(recount, len(small)))
            different = tuple(str(cell) for cell in drawn if json.loads(json.dumps(self.count(cell))) != found[cell])
            if not different:
                path = self.folder / f"{chip}.jsonl"
                write_whole(path, path.read_text().replace(f'"digest":"{mark}"', f'"digest":"{now}"'))
            yield chip, SignedCells(len(found), len(drawn), different)


def to_stderr(wanted: Sequence) -> Callable[[int, Any], None]:
    """A ``progress`` for `CellStore.known`: a line for each cell."""
    return lambda done, cell: print(f"{done}/{len(wanted)} {cell}", file=sys.stderr, flush=True)


def digest(module: str, kernels: str, chip: str) -> str:
    """A `CellStore.digest`: of the code of ``module`` with all that it imports, the compiler's versions, the chip, and
    the configurations in the shipped tables of ``kernels``, a pattern such as ``bgmv_*``."""
    from cold_kernels import tables

    from .on_chips import machine

    on = machine(chip)
    shipped = [json.loads(path.read_text()) for path in sorted((tables.SHIPPED / chip).glob(f"{kernels}.json"))]
    entries = [(table["kernel"], entry["shape"], entry["config"]) for table in shipped for entry in table["entries"]]
    code = repr((code_digest(module), on.model, sorted(on.versions.items())))
    return "-".join(hashlib.sha256(said.encode()).hexdigest()[:12] for said in (code, repr(entries)))
