"""Executes compiled vector-core programs, on planned buffer addresses, and models their time."""

from .memory import OutOfBounds
from .simulation import simulate
from .timeline import Deadlock
from .timing import Simulation

__all__ = ["Deadlock", "OutOfBounds", "Simulation", "simulate"]
