"""The chips that a figure is taken on: a nominal one, with compiler and simulator, and plausible ones."""

import functools

from cold_kernels.ascend.chips import Chip
from cold_kernels.ascend.machine import Machine, ascend_machine
from cold_kernels.ascend.simulator.timing.cores import Simulation

CHIPS = 32
"""Plausible chips, besides the nominal one."""


@functools.cache
def machine(chip: str) -> Machine:
    """Compiler and simulator for a chip."""
    return ascend_machine(chip)


@functools.cache
def chips(name: str) -> tuple[Chip, ...]:
    """The nominal chip of that name, then the plausible ones."""
    nominal = machine(name).chip
    return (nominal, *nominal.plausible(CHIPS))


def device_us(runs: list[Simulation], name: str) -> tuple[float, ...]:
    """Device time in microseconds of launches one after the other, on each of `chips`."""
    return tuple(round(sum(run.on(chip).microseconds for run in runs), 3) for chip in chips(name))


def least_us(runs: list[Simulation], minimal_bytes: int, name: str) -> tuple[float, ...]:
    """What the launches' floors and the bytes that must move take, in microseconds, on each of `chips`.

    A launch's floor is what it costs on so many cores without running anything (`Chip.start_us`); programs beyond the
    cores are not in it. The bytes take their time at the bandwidth of global memory that a kernel on all cores reaches.
    """
    programs = [len(run.execution.programs) for run in runs]
    made = []
    for chip in chips(name):
        floors = sum(chip.start_us(min(count, chip.vector_cores)) for count in programs)
        made.append(round(floors + minimal_bytes / chip.hbm_bytes_per_second * 1e6, 3))
    return tuple(made)
