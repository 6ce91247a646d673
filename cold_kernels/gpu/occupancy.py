"""How many programs a multiprocessor holds at once: arithmetic on what one takes."""

from .compiled import Resources
from .targets import Target

SCALAR_REGISTERS, SCALAR_UNIT = 800, 16
"""AMD: of a SIMD, and the unit that they are given out in (LLVM, AMDGPUBaseInfo `getTotalNumSGPRs`)."""


def resident(resources: Resources, target: Target) -> int:
    """Programs of a launch that one multiprocessor holds at once: by warps, registers and shared memory; 0 if none."""
    registers = _up(max(resources.registers, 1), target.register_unit)
    warps_of_scheduler = target.registers // target.schedulers // (registers * target.warp)
    if target.backend == "hip":
        scalars = _up(max(resources.scalar_registers, 1), SCALAR_UNIT)
        warps_of_scheduler = min(warps_of_scheduler, SCALAR_REGISTERS // scalars)
    warps = min(target.warps, target.schedulers * warps_of_scheduler)
    shared = _up(resources.shared + target.shared_reserved, target.shared_unit)
    by_shared = target.shared // shared if shared else target.programs
    return min(target.programs, warps // resources.warps, by_shared)


def occupancy(resources: Resources, target: Target) -> float:
    """Warps that a multiprocessor holds, of those that it could hold."""
    return resident(resources, target) * resources.warps / target.warps


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
