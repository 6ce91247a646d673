"""The time of launches on a GPU that is not there: a model of bytes, occupancy and waves. Nothing of it is measured.

What is left out: arithmetic, barriers, divergence, banks of shared memory, what caches hold from launch to launch.
"""

import math
from collections.abc import Sequence

from cold_kernels.gpu.compiled import Resources
from cold_kernels.gpu.occupancy import resident
from cold_kernels.gpu.targets import Target

from .interpreted import Traffic

LAUNCH = 2.5e-6
"""Seconds that a launch takes whatever it does: an estimate for launches that follow one another in a stream."""
ROUNDS = 2
"""Loads that wait for each other before a program's first tile is there: its adapter's slot, then the tile."""


def launch_seconds(traffic: Traffic, resources: Resources, target: Target) -> float:
    """The time of one launch, without what every launch takes.

    A multiprocessor takes in what its programs have on their way within a latency, and no more than its own bandwidth
    (Little's law); programs beyond those that it holds come in waves. The shared cache gives all of them its bandwidth.

    Raises:
        ValueError: not one program fits a multiprocessor.
    """
    fits = resident(resources, target)
    if not fits:
        raise ValueError(f"not one program fits a multiprocessor of {target.name}: {resources}")
    waves = math.ceil(traffic.programs / (fits * target.multiprocessors))
    together = min(fits, math.ceil(traffic.programs / target.multiprocessors))
    rate = min(target.own_bandwidth * target.clock, together * max(traffic.largest, 1) / target.latency)
    own = waves * (ROUNDS * target.latency + together * traffic.most / rate)
    shared = traffic.programs * (traffic.loaded + traffic.stored) / (target.cache_bandwidth * target.clock)
    return max(own, shared)


def seconds(launches: Sequence[tuple[Traffic, Resources]], minimal_bytes: int, target: Target) -> float:
    """The time of a kernel's launches, one after the other, and at least that of its bytes from the device's memory."""
    busy = math.fsum(launch_seconds(traffic, resources, target) for traffic, resources in launches)
    return max(busy, minimal_bytes / target.bandwidth) + len(launches) * LAUNCH
