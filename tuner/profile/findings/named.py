"""All findings of a kernel, dearest first, as ``simulate --json`` has them."""

import math
from typing import Any

from ..analysis import place, source
from ..profiled import ProfiledKernel
from .constexpr_follows_batch import constexpr_follows_batch
from .exposed_latency import exposed_latency
from .finding import Finding
from .grid_beyond_cores import grid_beyond_cores
from .masked_branches import masked_branches
from .scalar_fallback import scalar_fallback
from .short_copies import short_copies

OF_A_LAUNCH = (scalar_fallback, short_copies, grid_beyond_cores, masked_branches, exposed_latency)


def named(kernel: ProfiledKernel) -> list[dict[str, Any]]:
    """The kernel's findings; ``docs/simulator.md`` documents the keys.

    Raises:
        AscendError: a launch does not compile, or does what the simulator refuses.
    """
    launches = kernel.launches
    found = [finding for launch in launches for find in OF_A_LAUNCH for finding in find(launch)]
    found.sort(key=lambda finding: -finding.cycles)
    found += constexpr_follows_batch(kernel)
    total = math.fsum(launch.simulation.cycles for launch in launches)
    frequency = kernel.machine.chip.frequency
    return [_described(finding, total, frequency) for finding in found]


def _described(finding: Finding, total: float, frequency: float) -> dict[str, Any]:
    file, _, line = place(finding.place).rpartition(":")
    cycles = finding.cycles
    return {
        "code": finding.code,
        "function": finding.function,
        "file": file,
        "line": int(line),
        "text": source(finding.place),
        "cycles": cycles,
        "us": None if cycles is None else cycles / frequency * 1e6,
        "share": None if cycles is None else cycles / total if total else 0.0,
        "reason": finding.reason,
        "help": finding.help,
    }
