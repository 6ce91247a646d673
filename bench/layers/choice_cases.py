"""The grid of contrastive choices, and what is counted of a cell of it."""

import functools
import itertools
from dataclasses import asdict, dataclass
from typing import Any

from cold_kernels.ascend.host_clock import TRITON

from ..history import FOLDER as ACCEPTED
from .cases import CHIPS, DTYPES
from .projections import MODELS
from .stored_cells import CellStore, digest

ROWS = (1, 2, 4, 8, 16, 32, 64)
VOCABULARIES = tuple(sorted({model.vocabulary for model in MODELS.values()}))
SMALL_ROWS = 16


@dataclass(frozen=True)
class ChoiceCase:
    """The contrastive choice of so many rows of logits, at `alpha` 0.1 and `beta` 0.5, by `contrastive_argmax`."""

    chip: str
    vocabulary: int
    rows: int
    dtype: str = "fp16"

    def __str__(self) -> str:
        return f"{self.chip} choice of {self.rows} rows of {self.vocabulary} {self.dtype}"

    @property
    def words(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def small(self) -> bool:
        return self.rows <= SMALL_ROWS


def grid() -> list[ChoiceCase]:
    """All of the grid."""
    return [ChoiceCase(*each) for each in itertools.product(CHIPS, VOCABULARIES, ROWS, DTYPES)]


def count(cell: ChoiceCase) -> dict:
    """What the choice takes.

    Returns:
        ``device_us`` and ``least_us`` on the nominal chip and each plausible one; ``launches``: of each what launches
        it (see `host_clock`) and its device time on the nominal chip; ``minimal`` bytes.

    Raises:
        AscendError: it does not compile.
    """
    from cold_kernels import tables
    from cold_kernels.contrastive.score import contrastive_argmax as spec
    from tuner.gate.cells import shipped_tables
    from tuner.search.evaluate import Evaluator

    from .choice_rows import UsualRows
    from .on_chips import device_us, least_us, machine

    rows = UsualRows(cell.rows, cell.vocabulary, cell.dtype)
    with shipped_tables():
        config = tables.select(spec, spec.key(rows.shape(spec)), cell.chip).config
    runs = list(Evaluator(spec, machine(cell.chip)).timed(config, rows).parts)
    minimal = spec.minimal_bytes(**rows.tensors(spec))
    return {
        "device_us": list(device_us(runs, cell.chip)),
        "least_us": list(least_us(runs, minimal, cell.chip)),
        "launches": [[TRITON, round(run.microseconds, 3)] for run in runs],
        "minimal": minimal,
    }


CHOICES = CellStore(
    ACCEPTED / "choice",
    lambda words: ChoiceCase(**words),
    count,
    functools.partial(digest, __name__, "contrastive_argmax"),
)
