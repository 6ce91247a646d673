"""The grid of layers on which schemes are compared, and what was found of it: a line a cell, on disk at once."""

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cold_kernels.code_digest import code_digest
from cold_kernels.files import write_whole
from cold_kernels.tables import shipped_chips

from ..history import FOLDER as ACCEPTED
from .projections import ADAPTERS, MODELS, Batch

FOLDER = ACCEPTED / "grid"
CHIPS = shipped_chips()
RANKS = (8, 16, 64, 128)
ROWS = (1, 4, 16, 64, 256)
DTYPES = ("fp16", "bf16")
WEIGHTS = {1: 4, 4: 4, 16: 4, 64: 2, 256: 1}
"""How often a number of rows is drawn: what takes longer to simulate less often."""
SIGNED_ROWS = 16


@dataclass(frozen=True)
class LayerCase:
    """The LoRA of a layer: all its linear maps, one rank."""

    chip: str
    model: str
    rank: int
    batch: Batch
    dtype: str = "fp16"

    def __str__(self) -> str:
        return f"{self.chip} {self.model} rank {self.rank} {self.dtype} {self.batch}"


Counted = dict[LayerCase, dict]
"""What `count` found of each cell."""
PARTS = "parts"
"""Ours by projection, among the schemes."""


def grid() -> list[LayerCase]:
    """All of the grid. A single row with half of them base rows is a single row."""
    batches = [
        Batch(rows, adapters, half)
        for rows, adapters, half in itertools.product(ROWS, ADAPTERS, (False, True))
        if rows > 1 or not half and adapters == "distinct"
    ]
    return [LayerCase(*each) for each in itertools.product(CHIPS, MODELS, RANKS, batches, DTYPES)]


def sample(count: int, seed: int = 0) -> list[LayerCase]:
    """``count`` cells, drawn without replacement by `WEIGHTS`; more of the same seed go on where fewer ended."""
    draw = random.Random(f"grid/{seed}")
    everything = grid()
    keys = {cell: draw.random() ** (1 / WEIGHTS[cell.batch.rows]) for cell in everything}
    return sorted(everything, key=keys.__getitem__, reverse=True)[:count]


def count(cell: LayerCase) -> dict:
    """What every scheme takes for the cell, ours also by projection.

    Returns:
        By scheme: ``launches``, ``us`` (see `schemes.Taken`), ``bytes`` copied, ``minimal``, ``fetched``; and `PARTS`.

    Raises:
        AscendError: a scheme does not compile.
    """
    from .schemes import OURS, SCHEMES, taken

    found: dict = {}
    for scheme in SCHEMES:
        parts = [taken(scheme, p, cell.batch, cell.rank, cell.dtype, cell.chip) for p in MODELS[cell.model].projections]
        found[scheme.name] = {
            "launches": sum(part.launches for part in parts),
            "us": _added(part.us for part in parts),
            "bytes": sum(part.facts["bytes moved"] for part in parts),
            "minimal": sum(part.facts["minimal bytes"] for part in parts),
            "fetched": sum(part.fetched for part in parts),
        }
        if scheme is OURS:
            found[PARTS] = [_part(part) for part in parts]
    return found


def _part(part) -> dict:
    facts = part.facts
    kept = {
        name: facts[name] for name in ("bytes moved", "minimal bytes", "copies", "copies under 16 KB", "round trips")
    }
    kept |= {"drains": facts["drains"], "fetched": part.fetched, "UB bytes": facts["UB bytes"]}
    return kept | {"kernel_us": [round(us, 3) for us in part.kernel_us]}


def _added(columns: Iterable[Sequence[float]]) -> list[float]:
    return [round(sum(column), 3) for column in zip(*columns, strict=True)]


def digest(chip: str) -> str:
    """Of all that a cell's figures depend on: the code that counts them with all that it imports, the configurations in
    the shipped tables, the compiler's versions, the chip.

    After a dash that of the configurations alone: they may change some cells and not others, so that a sample says
    nothing of the rest.
    """
    from cold_kernels import tables

    from .schemes import machine

    on = machine(chip)
    shipped = [json.loads(path.read_text()) for path in sorted((tables.SHIPPED / chip).glob("bgmv_*.json"))]
    entries = [(table["kernel"], entry["shape"], entry["config"]) for table in shipped for entry in table["entries"]]
    code = repr((code_digest(__name__), on.model, sorted(on.versions.items())))
    return "-".join(hashlib.sha256(said.encode()).hexdigest()[:12] for said in (code, repr(entries)))


def stored(folder: Path = FOLDER) -> Iterator[tuple[LayerCase, str, dict]]:
    """Each cell on disk, the digest of what it was counted with, and what was found; the last one of a cell counts."""
    for path in sorted(folder.glob("*.jsonl")):
        lines = {}
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # a line that a crash cut off
            key = json.dumps(entry["cell"], sort_keys=True)
            lines.pop(key, None)  # so that the order is that of the last lines
            lines[key] = entry
        for entry in lines.values():
            words = dict(entry["cell"])
            batch = Batch(words.pop("rows"), words.pop("adapters"), words.pop("half"))
            yield LayerCase(batch=batch, **words), entry["digest"], entry["found"]


def latest(folder: Path = FOLDER) -> Counted:
    """Of each chip the cells on disk that were counted with the same kernels as the last one; needs no compiler."""
    everything = list(stored(folder))
    last = {cell.chip: mark for cell, mark, _ in everything}
    return {cell: found for cell, mark, found in everything if last[cell.chip] == mark}


def known(wanted: Sequence[LayerCase], progress: Callable[[int, LayerCase], None], folder: Path = FOLDER) -> Counted:
    """What was found of these cells: from disk where nothing has changed since, else counted now and stored.

    Args:
        progress: Called before a cell is counted, with how many are done.

    Raises:
        AscendError: a scheme does not compile; `ToolchainMissing` without a compiler.
    """
    marks = {chip: digest(chip) for chip in {cell.chip for cell in wanted}}
    have = {cell: found for cell, mark, found in stored(folder) if marks.get(cell.chip) == mark}
    for done, cell in enumerate(wanted):
        if cell not in have:
            progress(done, cell)
            have[cell] = count(cell)
            store(cell, marks[cell.chip], have[cell], folder)
    return {cell: have[cell] for cell in wanted}


def store(cell: LayerCase, mark: str, found: dict, folder: Path = FOLDER) -> None:
    """Add a line for the cell; it is on disk when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    words = dict(chip=cell.chip, model=cell.model, rank=cell.rank, dtype=cell.dtype)
    words |= dict(rows=cell.batch.rows, adapters=cell.batch.adapters, half=cell.batch.half)
    path = folder / f"{cell.chip}.jsonl"
    cut = path.exists() and not path.read_bytes().endswith(b"\n")  # by a crash
    line = json.dumps({"cell": words, "digest": mark, "found": found}, separators=(",", ":"))
    with path.open("a") as file:
        file.write("\n" * cut + line + "\n")
        file.flush()


@dataclass(frozen=True)
class SignedCases:
    """What came of a chip's cells: how many are valid now, how many were counted again, and those that differ."""

    valid: int
    recounted: int
    different: tuple[str, ...]

    def __str__(self) -> str:
        if self.different:
            listed = "".join(f"\n  {cell}" for cell in self.different)
            return f"{len(self.different)} of {self.recounted} counted again have other figures; run `grid`:{listed}"
        return f"{self.valid} valid" + (f", signed after counting {self.recounted} again" if self.recounted else "")


def sign(recount: int, folder: Path = FOLDER) -> Iterator[tuple[str, SignedCases]]:
    """Give the cells on disk the digest of today's code where a sample of them has the same figures.

    The cells of a chip that `latest` shows were counted by one state of the code, so that what holds for a sample of
    them holds for all; cells of at most `SIGNED_ROWS` rows are drawn, as others take minutes.

    Args:
        recount: How many of each chip are counted again.

    Raises:
        ValueError: the shipped tables have other configurations than the cells were counted with.
        AscendError: a scheme does not compile; `ToolchainMissing` without a compiler.
    """
    everything = list(stored(folder))
    last = {cell.chip: mark for cell, mark, _ in everything}
    for chip, mark in last.items():
        found = {cell: each for cell, was, each in everything if cell.chip == chip and was == mark}
        now = digest(chip)
        if mark == now:
            yield chip, SignedCases(len(found), 0, ())
            continue
        if mark.partition("-")[2] != now.partition("-")[2]:
            raise ValueError(
                f"the tables of {chip} have other configurations than its cells were counted with; run grid"
            )
        small = [cell for cell in found if cell.batch.rows <= SIGNED_ROWS]
        drawn = random.Random(f"sign/{chip}").sample(small, min(recount, len(small)))
        different = tuple(str(cell) for cell in drawn if json.loads(json.dumps(count(cell))) != found[cell])
        if not different:
            path = folder / f"{chip}.jsonl"
            write_whole(path, path.read_text().replace(f'"digest":"{mark}"', f'"digest":"{now}"'))
        yield chip, SignedCases(len(found), len(drawn), different)
