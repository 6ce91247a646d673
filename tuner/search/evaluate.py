"""One configuration on one case: compiled, timed, and compared with float64."""

import functools
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from cold_kernels.ascend.machine import Machine, programs_digest
from cold_kernels.cases import Case, errors, poisoned
from cold_kernels.dtypes import TORCH
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import StageCall

KEPT_PROGRAMS, KEPT_CASES = 48, 24
VALUES, TIME_ONLY = True, False


@dataclass(frozen=True)
class Timed:
    """The simulated launches of one kernel call, one after the other."""

    parts: tuple[Any, ...]

    @property
    def microseconds(self) -> float:
        return math.fsum(part.microseconds for part in self.parts)

    def net(self, chip: Any) -> float:
        """Microseconds on ``chip`` without what each launch costs whatever it does; `microseconds` are its."""
        return self.microseconds - len(self.parts) * chip.constants["launch_us"]

    def on(self, chip: Any) -> float:
        """Microseconds of the same execution on another chip."""
        return math.fsum(part.on(chip).microseconds for part in self.parts)

    @property
    def bound(self) -> str:
        """The pipe with the most busy cycles; of equals, the first by name."""
        busy: Counter[str] = Counter()
        for part in self.parts:
            busy.update(part.pipes)
        return min(busy, key=lambda pipe: (-busy[pipe], pipe)) if busy else "none"


class Evaluator:
    """Compiles and simulates configurations of one kernel; every program is compiled once.

    Args:
        spec: The kernel.
        machine: Compiler and simulated chip.
        blank: Whether times are taken on zeros; for a kernel that decides nothing by its data.
    """

    def __init__(self, spec: KernelSpec, machine: Machine, blank: bool = False) -> None:
        self.spec = spec
        self.machine = machine.remembering(KEPT_PROGRAMS)
        self._args = functools.lru_cache(maxsize=KEPT_CASES)(lambda case: case.tensors(spec, blank=blank))

    def timed(self, config: Record, case: Case) -> Timed:
        """Simulated time alone; the case's tensors are not written.

        Raises:
            AscendError: a stage does not compile, or does what the simulator refuses.
        """
        args = self._args(case)
        if len(self.spec.stages) > 1:  # all launches but the last one compute values
            args = args | {name: args[name].clone() for name in self.spec.outputs}
        return Timed(tuple(self._launches(config, args, TIME_ONLY)))

    def wrong(self, config: Record, case: Case) -> str | None:
        """What is wrong with the compiled program on ``case``; None if its values are right and it has no hazards.

        Outputs and workspaces are poisoned first, so that whatever is not written is wrong.

        Raises:
            AscendError: a stage does not compile, or does what the simulator refuses.
        """
        args = case.tensors(self.spec)
        for launch in self._launches(config, args, VALUES):
            if launch.hazards:
                return f"a hazard on {case}: {launch.hazards[0]}"
        off = {name: ratio for name, ratio in errors(self.spec, args).items() if not ratio <= 1}
        if not off:
            return None
        name = max(off, key=off.get)
        return f"{name} is {off[name]:.3g} times the allowed error off {self.spec.against} on {case}"

    def floor_microseconds(self, case: Case) -> float:
        """Time to move the bytes that must be moved, at the bandwidth of global memory."""
        return self.spec.minimal_bytes(**self._args(case)) / self.machine.chip.hbm_bytes_per_second * 1e6

    def programs(self, config: Record, case: Case) -> str:
        """Digest of the compiled programs, as tables keep it.

        Raises:
            CompilationFailed: a stage does not compile.
        """
        return programs_digest(self.machine, self._calls(config, self._args(case)))

    def _launches(self, config: Record, args: dict[str, Any], values: bool) -> Iterable[Any]:
        calls = [call for call in self._calls(config, args) if 0 not in call.grid]
        for call in calls:
            followed = call is not calls[-1]  # what it writes may decide what the next one does
            yield self.machine.run(call, values or followed)

    def _calls(self, config: Record, args: dict[str, Any]) -> list[StageCall]:
        values_of = args | self._workspaces(config, args)
        return self.spec.calls(values_of, config, "ascend", self.machine.chip.vector_cores)

    def _workspaces(self, config: Record, args: dict[str, Any]) -> dict[str, torch.Tensor]:
        shape, made = self.spec.shape_of(args), {}
        for name, arg in self.spec.tensors.items():
            if arg.role == "workspace":
                made[name] = poisoned(list(self.spec.workspace_size(name, config, shape)), TORCH[arg.dtypes[0]])
        return made


def geomean(values: Iterable[float]) -> float:
    """Geometric mean of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))
