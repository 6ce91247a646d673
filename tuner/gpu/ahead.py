"""Configurations judged with no GPU: compiled ahead of time, and timed by a model."""

import functools
import math

from cold_kernels.cases import Case
from cold_kernels.gpu.compiled import Resources, compile_ahead
from cold_kernels.gpu.errors import GpuError
from cold_kernels.gpu.targets import Target
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.tunables import Warps

from .interpreted import Interpreter, Traffic
from .modelled import seconds


class Ahead:
    """Judges configurations of one kernel for a target.

    Args:
        name: As `specs.load` takes it, for the interpreter's process.
        spec: The kernel as it is on GPUs.
        target: The GPU.
        interpreter: Counts what launches move.
    """

    def __init__(self, name: str, spec: KernelSpec, target: Target, interpreter: Interpreter) -> None:
        self.name, self.spec, self.target, self._interpreter = name, spec, target, interpreter
        self._traffic = functools.cache(self._counted)

    def __call__(self, config: Record, case: Case) -> float:
        """Modelled seconds; infinite for a configuration that does not compile, spills or does not fit."""
        try:
            found = self.resources(config, case)
        except GpuError:
            return math.inf
        if any(each.spilled for each in found):
            return math.inf
        # How many warps a program has is no parameter of its text, so that it moves the same.
        warps = {name: tunable.default for name, tunable in self.spec.space.items() if isinstance(tunable, Warps)}
        moved = self._traffic(Record(config, **warps), case)
        try:
            return seconds(list(zip(moved, found, strict=True)), self._minimal(case), self.target)
        except ValueError:
            return math.inf

    def resources(self, config: Record, case: Case) -> list[Resources]:
        """What a program of each launch takes.

        Raises:
            GpuError: one does not compile, or takes too much shared memory.
        """
        calls = self.spec.calls(case.tensors(self.spec, blank=True), config, "cuda", self.target.cores)
        return [compile_ahead(call, self.target) for call in calls]

    def _counted(self, config: Record, case: Case) -> list[Traffic]:
        return self._interpreter.traffic(self.name, config, case, self.target.cores)

    @functools.cache
    def _minimal(self, case: Case) -> int:
        return self.spec.minimal_bytes(**case.tensors(self.spec))
