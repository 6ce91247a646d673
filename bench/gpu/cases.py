"""What the exact gate for GPUs counts: kernels, cases and targets, and what upstream Triton makes of one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cold_kernels.cases import Case
from cold_kernels.gpu.compiled import compile_ahead
from cold_kernels.gpu.occupancy import occupancy, resident
from cold_kernels.gpu.targets import TARGETS, Target
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.specs import KERNELS, load

from ..history import FOLDER

ON_GPUS = tuple(name for name in KERNELS if not name.endswith("_cube"))
"""The kernels that operators launch on GPUs."""
ACCEPTED = FOLDER / "gpu"
"""Where accepted facts are; the files of a release of Triton are beside each other."""


@dataclass(frozen=True)
class GpuCase:
    """A kernel on a case, in the configuration that a launch without a table takes, for a target."""

    spec: KernelSpec
    case: Case
    target: Target

    def __str__(self) -> str:
        return f"{self.target.name} {self.case}"

    @property
    def config(self) -> Record:
        return self.spec.default_for(self.case.shape())


class Spills(Exception):
    """A program keeps in memory what its registers have no room for."""


def cells(kernels: Iterable[str] = ()) -> list[GpuCase]:
    """The typical case of each kernel in each element type, and the first of each group of its targets."""
    made = []
    for name in kernels or ON_GPUS:
        spec = load(name).on("cuda")
        texts = [f"dtype={dtype}" for dtype in spec.operands[spec.first].dtypes]
        cases = [Case.parse(text, spec) for text in (*texts, *spec.targets)]
        first: dict[tuple, Case] = {}
        for case in cases:
            first.setdefault(spec.group_of(case.shape()), case)
        made += [GpuCase(spec, case, target) for case in first.values() for target in TARGETS.values()]
    return made


def counted(cell: GpuCase) -> dict[str, Any]:
    """What each launch of a cell takes, its configuration first.

    Raises:
        Spills: a program spills.
        GpuError: one does not compile, or takes too much shared memory; or upstream Triton is missing.
    """
    args = cell.case.tensors(cell.spec, blank=True)
    facts: dict[str, Any] = {"configuration": str(cell.config)}
    for call in cell.spec.calls(args, cell.config, "cuda", cell.target.cores):
        found = compile_ahead(call, cell.target)
        name = call.kernel.__name__
        if found.spilled:
            raise Spills(f"{name} of {cell.spec.name} on {cell}, {cell.config}: {found.spilled} bytes a thread spilled")
        facts[name] = {
            "registers": found.registers,
            "shared bytes": found.shared,
            "programs of a multiprocessor": resident(found, cell.target),
            "occupancy": round(occupancy(found, cell.target), 4),
        }
    return facts


def release() -> str:
    """The installed Triton, as accepted facts are filed."""
    import triton

    return f"triton-{triton.__version__}"
