"""What becomes of a launch's hazards: an error, a warning, or nothing."""

import sys
import warnings

from ...ascend.errors import AscendError
from ...ascend.simulator.hazards.hazard import ERROR, WARNING
from ..session import Launch


class HazardFound(AscendError):
    """A launch came out right here, and may come out wrong on a device; says why."""


class HazardWarning(UserWarning):
    """A hazard where hazards are not errors."""


def judge(launch: Launch, way: str) -> None:
    """Raise, warn, or pass over the hazards of a launch that has run. Those that are warnings by themselves only warn.

    Raises:
        HazardFound: there are others, and ``way`` is ``error``.
    """
    if way == "off":
        return
    for severity in (WARNING, ERROR):
        found = [hazard for hazard in launch.simulation.hazards or () if hazard.severity == severity]
        if not found:
            continue
        text = f"{launch.program.name} on the grid {launch.grid}: " + "\n  ".join(map(str, found))
        if way == "error" and severity == ERROR:
            raise HazardFound(text)
        warnings.warn(text, HazardWarning, stacklevel=_depth())


def _depth() -> int:
    """How far up the code stands that is neither Triton's nor the simulator's: the test that launches."""
    frame, depth = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("triton.", "cold_kernels.")):
        frame, depth = frame.f_back, depth + 1
    return depth
