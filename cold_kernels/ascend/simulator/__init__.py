"""Executes compiled vector-core programs, on planned buffer addresses, and models their time."""

from .hazards import Hazard
from .memory import OutOfBounds
from .simulation import find_hazards, simulate
from .timeline import Deadlock
from .timing import Simulation

__all__ = ["Deadlock", "Hazard", "OutOfBounds", "Simulation", "find_hazards", "simulate"]
