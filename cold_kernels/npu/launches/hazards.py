"""What becomes of a launch's hazards: an error, a warning, or nothing."""

import warnings

from ...ascend.errors import AscendError
from ...ascend.simulator.hazards.hazard import ERROR
from ..session import Launch


class HazardFound(AscendError):
    """A launch came out right here, and may come out wrong on a device; says why."""


class HazardWarning(UserWarning):
    """A hazard where hazards are not errors."""


def judge(launch: Launch, way: str) -> None:
    """Raise, warn, or pass over the hazards of a launch that has run.

    Raises:
        HazardFound: there are some that may make a result wrong, and ``way`` is ``error``.
    """
    found = launch.simulation.hazards
    if not found or way == "off":
        return
    text = f"{launch.program.name} on the grid {launch.grid}: " + "\n  ".join(map(str, found))
    if way == "error" and any(hazard.severity == ERROR for hazard in found):
        raise HazardFound(text)
    warnings.warn(text, HazardWarning, stacklevel=6)
