"""What a gate counts: the cells (kernel, shape, configuration of a launch), and how one is counted."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cold_kernels.ascend.machine import Machine, ascend_machine
from cold_kernels.cases import Case
from cold_kernels.launch import forget
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import SHIPPED, read, select

from ..search.evaluate import Evaluator
from ..search.group import work
from .counting import facts


class WrongResult(Exception):
    """A compiled program computed something else than its reference does; nothing is counted of it."""


@dataclass(frozen=True)
class CountedCase:
    """A kernel on a case, in the configuration that a launch there takes from the tables that travel with it.

    Args:
        checked: Whether its values are compared with float64 before anything is counted.
    """

    spec: KernelSpec
    case: Case
    chip: str
    config: Record
    checked: bool

    def __str__(self) -> str:
        return f"{self.spec.name} {self.case}"


def cells_of(spec: KernelSpec, chip: str) -> list[CountedCase]:
    """The cells of a kernel: its typical case and its targets, each once.

    Of the cases that share a configuration the smallest one is checked. Tables of the user's own do not count.
    """
    cases = {str(case): case for case in (Case.parse(text, spec) for text in ("", *spec.targets))}.values()
    with shipped_tables():
        configs = {case: select(spec, case.shape(), chip).config for case in cases}
    smallest: dict[Record, Case] = {}
    for case in sorted(cases, key=work):
        smallest.setdefault(configs[case], case)
    return [CountedCase(spec, case, chip, configs[case], smallest[configs[case]] is case) for case in cases]


def counted(cell: CountedCase) -> dict[str, Any]:
    """The facts of a cell, its configuration first.

    Raises:
        WrongResult: its values are off.
        AscendError: it does not compile, or does what the simulator refuses; `ToolchainMissing` without a compiler.
    """
    evaluator = _evaluator(cell.spec, cell.chip)
    if cell.checked and (wrong := evaluator.wrong(cell.config, cell.case)):
        raise WrongResult(f"{cell}, {cell.config}: {wrong}")
    launches = evaluator.timed(cell.config, cell.case).parts
    minimal = cell.spec.minimal_bytes(**cell.case.tensors(cell.spec))
    return {"configuration": str(cell.config), **facts(launches, minimal)}


def _forget_tables() -> None:
    read.cache_clear()
    forget()


@contextmanager
def shipped_tables() -> Iterator[None]:
    """Tables of the user's own are not seen meanwhile."""
    before = os.environ.get("COLD_KERNELS_TABLES")
    os.environ["COLD_KERNELS_TABLES"] = str(SHIPPED)
    _forget_tables()
    try:
        yield
    finally:
        _forget_tables()
        if before is None:
            del os.environ["COLD_KERNELS_TABLES"]
        else:
            os.environ["COLD_KERNELS_TABLES"] = before


@functools.cache
def _machine(chip: str) -> Machine:
    return ascend_machine(chip)


@functools.lru_cache(maxsize=1)
def _evaluator(spec: KernelSpec, chip: str) -> Evaluator:
    return Evaluator(spec, _machine(chip))
