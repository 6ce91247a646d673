"""The cells of the exact gate: those of every registered kernel, in its shipped configurations."""

from collections.abc import Iterable

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.specs import KERNELS, load
from tuner.gate.cells import CountedCase, cells_of


def cells(chip: str = DEFAULT_CHIP, kernels: Iterable[str] = ()) -> list[CountedCase]:
    """The cells of ``kernels``, by default of all registered ones."""
    return [cell for name in kernels or KERNELS for cell in cells_of(load(name), chip)]
