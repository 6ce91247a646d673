"""A device for those who have none: the simulator on a chip with constants that nobody was told, and noise."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from cold_kernels.ascend.chips import CONSTANTS, DEFAULT_CHIP, Chip
from cold_kernels.ascend.machine import Machine, ascend_machine
from cold_kernels.stage import StageCall

from .npu import SAMPLES

NOISE = 0.01
"""Standard deviation of the logarithm of one sample."""


class StandIn:
    """Compiles and simulates what is launched; its true constants are drawn from their intervals by ``seed``.

    Raises:
        ToolchainMissing: the compiler is not installed.
        ValueError: there is no such chip.
    """

    evidence, backend = "stand-in", "ascend"

    def __init__(self, seed: int, chip: str = DEFAULT_CHIP, noise: float = NOISE) -> None:
        self.machine: Machine = ascend_machine(chip)
        self.truth: Chip = secret(self.machine.chip, seed)
        self.name = f"stand-in {seed} for {chip}"
        self.chip, self.cores = chip, self.truth.vector_cores
        self.versions = dict(self.machine.versions)
        self._noise, self._draw = noise, random.Random(f"noise {seed}")

    def place(self, args: Mapping[str, Any]) -> dict[str, Any]:
        return dict(args)

    def run(self, calls: Sequence[StageCall]) -> None:
        for call in calls:
            self.machine.run(call, values=True)

    def time(self, calls: Sequence[StageCall]) -> list[float]:
        us = sum(self.machine.run(call, values=False).on(self.truth).microseconds for call in calls)
        return [us * self._draw.lognormvariate(0, self._noise) for _ in range(SAMPLES)]

    def alive(self) -> bool:
        return True


def secret(chip: Chip, seed: int) -> Chip:
    """The chip with every constant somewhere in its interval."""
    draw = random.Random(f"stand-in {chip.name} {seed}")
    constants = {name: CONSTANTS[name].at(draw.random()) for name in chip.constants}
    return Chip(chip.name, chip.cube_cores, chip.frequency, chip.hbm_peak, chip.l2_bytes, constants)
