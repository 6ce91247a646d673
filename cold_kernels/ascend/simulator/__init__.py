"""Executes compiled vector-core programs, on planned buffer addresses, and models their time."""

from .core.memory import OutOfBounds
from .hazards import Hazard
from .simulation import find_hazards, simulate
from .timing.cores import Simulation
from .timing.timeline import Deadlock

__all__ = ["Deadlock", "Hazard", "OutOfBounds", "Simulation", "find_hazards", "simulate"]
