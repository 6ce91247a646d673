"""The grid of layers on which schemes are compared, and what is counted of a cell of it."""

import functools
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cold_kernels.tables import shipped_chips

from ..history import FOLDER as ACCEPTED
from .projections import ADAPTERS, MODELS, PROMPT, Batch
from .stored_cells import CellStore, digest

CHIPS = shipped_chips()
RANKS = (8, 16, 64, 128)
ROWS = (1, 4, 16, 64, 256)
DTYPES = ("fp16", "bf16")
WEIGHTS = {1: 4, 4: 4, 16: 4, 64: 2, 256: 1}
"""How often a number of rows is drawn: what takes longer to simulate less often."""
SMALL_ROWS = 16
FEW_MODELS, FEW_RANKS, SHARED_ROWS, PROMPTS = ("Llama-2-7B", "Qwen2.5-7B"), (16, 64), (16, 64), (256, 2048)
"""Models and ranks of what is counted whole: rows of decode steps that share adapters, tokens of prompts."""


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

    @property
    def words(self) -> dict[str, Any]:
        words = dict(chip=self.chip, model=self.model, rank=self.rank, dtype=self.dtype)
        return words | dict(rows=self.batch.rows, adapters=self.batch.adapters, half=self.batch.half)

    @classmethod
    def of(cls, words: dict[str, Any]) -> "LayerCase":
        """The case of its ``words``."""
        rest = dict(words)
        return cls(batch=Batch(rest.pop("rows"), rest.pop("adapters"), rest.pop("half")), **rest)

    @property
    def small(self) -> bool:
        return self.batch.rows <= SMALL_ROWS


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


def prefill() -> list[LayerCase]:
    """Layers of a prompt with an adapter, beside the grid, which has decode steps."""
    return _few(Batch(rows, PROMPT) for rows in PROMPTS)


def sharing() -> list[LayerCase]:
    """Layers of the grid, in decode steps whose rows share adapters."""
    return _few(Batch(rows, adapters) for adapters in ADAPTERS if adapters != "distinct" for rows in SHARED_ROWS)


def _few(batches: Iterable[Batch]) -> list[LayerCase]:
    return [LayerCase(*each) for each in itertools.product(CHIPS, FEW_MODELS, FEW_RANKS, batches)]


def sample(count: int, seed: int = 0) -> list[LayerCase]:
    """``count`` cells, drawn without replacement by `WEIGHTS`; more of the same seed go on where fewer ended."""
    draw = random.Random(f"grid/{seed}")
    everything = grid()
    keys = {cell: draw.random() ** (1 / WEIGHTS[cell.batch.rows]) for cell in everything}
    return sorted(everything, key=keys.__getitem__, reverse=True)[:count]


def count(cell: LayerCase) -> dict:
    """What every scheme that takes such a batch (`Scheme.takes`) takes for the cell, ours also by projection.

    Returns:
        By scheme: ``device_us`` and ``least_us`` of all its launches on the nominal chip and each plausible one;
        ``launches``, a list for each projection: by launch what launches it (see `host_clock`) and its device time on
        the nominal chip; ``bytes`` copied, ``minimal``, ``fetched``; and `PARTS`.

    Raises:
        AscendError: a scheme does not compile.
    """
    from .schemes import OURS, schemes_for, taken

    found: dict = {}
    for scheme in schemes_for(cell.batch, cell.rank, cell.dtype, cell.chip):
        parts = [taken(scheme, p, cell.batch, cell.rank, cell.dtype, cell.chip) for p in MODELS[cell.model].projections]
        found[scheme.name] = {
            "device_us": _added(part.device_us for part in parts),
            "least_us": _added(part.least_us for part in parts),
            "launches": [list(map(list, part.launches)) for part in parts],
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
    return kept | {"drains": facts["drains"], "fetched": part.fetched, "UB bytes": facts["UB bytes"]}


def _added(columns: Iterable[Sequence[float]]) -> list[float]:
    return [round(sum(column), 3) for column in zip(*columns, strict=True)]


LAYERS = CellStore(ACCEPTED / "grid", LayerCase.of, count, functools.partial(digest, __name__, "bgmv_*"))
