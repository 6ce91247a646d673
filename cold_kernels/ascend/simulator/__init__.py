"""Executes compiled vector-core programs, on planned buffer addresses, and models their time."""

from .memory import OutOfBounds
from .simulation import Simulation, simulate
from .timeline import Deadlock

__all__ = ["Deadlock", "OutOfBounds", "Simulation", "simulate"]
