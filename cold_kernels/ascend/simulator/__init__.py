"""Executes compiled vector-core programs, on planned buffer addresses, and models their time."""

from ..errors import Deadlock
from .core.memory import OutOfBounds
from .hazards.find import find_hazards
from .hazards.hazard import Hazard
from .simulation import simulate
from .timing.cores import Simulation

__all__ = ["Deadlock", "Hazard", "OutOfBounds", "Simulation", "find_hazards", "simulate"]
