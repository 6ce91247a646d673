"""One simulated launch, as findings look at it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..program import Program
from ..simulator.profile.buffers import Buffer, buffers
from ..simulator.profile.profile import Profile, profile
from ..simulator.timing.cores import Simulation

CORES = {("AIV",): "vector cores", ("AIC",): "cube cores"}


@dataclass(frozen=True)
class ProfiledLaunch:
    """One simulated launch.

    Args:
        kernel: The Triton function.
        grid: Programs along each axis.
        program: As compiled.
        arguments: At run time, in order.
        simulation: Time, and hazards where they are looked for.
    """

    kernel: Any
    grid: tuple[int, ...]
    program: Program
    arguments: list
    simulation: Simulation

    @property
    def function(self) -> str:
        """The Triton function's name."""
        return self.kernel.__name__

    @cached_property
    def profile(self) -> Profile:
        """Where the cycles of the core go that finishes last."""
        return profile(self.simulation)

    def buffers(self, found: Profile, number: int) -> tuple[Buffer, ...]:
        """The unified buffer's map of a program of a vector core that is in no group, from its profile."""
        if self.simulation.execution.kinds != ("AIV",):
            return ()
        return buffers(self.program, self.arguments, self.grid, self.simulation.places, found, number)

    @property
    def cores(self) -> str:
        """What its programs run on, in words."""
        kinds = self.simulation.execution.kinds
        return CORES[kinds] if kinds in CORES else "groups of a cube core and two vector cores"
