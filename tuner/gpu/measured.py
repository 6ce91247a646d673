"""Configurations judged on the GPU that is here: values against float64, then times in turn with the default's."""

import math
import statistics
from typing import Any

from cold_kernels.cases import Case, errors
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.stage import StageCall

from ..calibration.npu import MeasuredDevice

TURNS = 3
"""Times that the default and a configuration are measured, one after the other: a clock that falls meets both."""
MEASURED = "measured in turn with the default's; second-level cache cold, clocks not locked"


class Measured:
    """Judges configurations of one kernel on a device.

    Args:
        spec: The kernel as it is on GPUs.
        device: `calibration.gpu.Gpu`, or what stands in for one.
    """

    def __init__(self, spec: KernelSpec, device: MeasuredDevice) -> None:
        self.spec, self.device = spec, device
        self._default: dict[Case, float] = {}

    def __call__(self, config: Record, case: Case) -> float:
        """Seconds by which a configuration is known: its share of the default's time in the same turns, of that time.

        Infinite for one that does not launch. Scores of a case can be compared though each was measured at another
        moment.
        """
        try:
            if self.wrong(config, case):
                return math.inf
            default = self.spec.default_for(case.shape())
            times: dict[Record, list[float]] = {default: [], config: []}
            args = self.device.place(case.tensors(self.spec))
            for _ in range(TURNS):
                for each, taken in times.items():
                    taken += self.device.time(self._calls(each, args))
        except Exception:  # whatever a compiler or a launch says of one configuration, the search goes on
            if not self.device.alive():
                raise
            return math.inf
        middle = {each: statistics.median(taken) * 1e-6 for each, taken in times.items()}
        of_default = self._default.setdefault(case, middle[default])
        return middle[config] / middle[default] * of_default

    def wrong(self, config: Record, case: Case) -> str | None:
        """How far values on a case are off float64; None if they are right."""
        args = self.device.place(case.tensors(self.spec))
        self.device.run(self._calls(config, args))
        off = errors(self.spec, {name: getattr(value, "cpu", lambda v=value: v)() for name, value in args.items()})
        name = max(off, key=off.get)
        return None if off[name] <= 1 else f"{name} is {off[name]:.3g} times the allowed error off float64 on {case}"

    def _calls(self, config: Record, args: dict[str, Any]) -> list[StageCall]:
        made = self.spec.calls(args, config, "cuda", self.device.cores)
        return [call for call in made if 0 not in call.grid]
