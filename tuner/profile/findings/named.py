"""All findings of a kernel, dearest first, as ``simulate --json`` has them."""

import math
from typing import Any

from cold_kernels.ascend.findings.of_launch import described, of_launch

from ..profiled import ProfiledKernel
from .constexpr_follows_batch import constexpr_follows_batch


def named(kernel: ProfiledKernel) -> list[dict[str, Any]]:
    """The kernel's findings; ``docs/simulator.md`` documents the keys.

    Raises:
        AscendError: a launch does not compile, or does what the simulator refuses.
    """
    launches = kernel.launches
    found = sorted((one for launch in launches for one in of_launch(launch)), key=lambda finding: -finding.cycles)
    found += constexpr_follows_batch(kernel)
    total = math.fsum(launch.simulation.cycles for launch in launches)
    return [described(finding, total, kernel.machine.chip.frequency) for finding in found]
