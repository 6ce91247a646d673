"""What work costs on a chip, in cycles."""

from typing import NamedTuple

from ...chips import Chip
from ..trace.work import CUBE_PIPES, FIX, LOAD, LOAD_L0, MULTIPLY, PIPES, STORE, VECTOR, Work

BY_SCALAR_UNIT = ("scalar_local", "scalar_global", "flag")
ISSUES = "vector_issue"


class Cost(NamedTuple):
    """Cycles of one operation on a chip.

    Args:
        pipe: From its start until its pipe may start the next one.
        scalar: The part of it that runs on the scalar unit, in operations that the vector unit or the copy
            engine cannot do.
        memory: Of the core's share of global memory.
        latency: From the end of ``pipe`` until its accesses are complete.
        issue: Of the scalar unit, before its start.
    """

    pipe: float
    scalar: float
    memory: float
    latency: float
    issue: float


class Costs:
    """Cycles of work on a chip whose global memory moves ``rate`` bytes per cycle for this core.

    ``hits`` is the share of what is loaded that the second-level cache has; ``cube`` says that it is a cube core.
    """

    def __init__(self, chip: Chip, rate: float, hits: float = 0.0, cube: bool = False) -> None:
        constants = chip.constants
        self.cycles = constants | {"local_byte": 1 / constants["local_rate"], "line_byte": 0.0}
        self.memory_rate = rate
        self.pipes, self.out = (CUBE_PIPES, FIX) if cube else (PIPES, STORE)
        self.queues = self.pipes[1:]
        if cube:
            self._of_cube(chip.cube, hits)
        else:
            load_byte = (1 - hits) / constants["load_rate"] + hits / constants["load_rate_l2"]
            self.rates = {LOAD: 1 / load_byte, STORE: constants["store_rate"]}
            self.latencies = {
                VECTOR: constants["vector_drain"],
                LOAD: constants["load_latency"],
                STORE: constants["store_latency"],
            }
        self.counter = chip.cube["counter"]
        self.first_load = (1 - hits) * constants["load_first"]
        self._known: dict[Work, Cost] = {}

    def _of_cube(self, own: dict[str, float], hits: float) -> None:
        rates = {f"{name}_byte": 1 / own[f"{name}_rate"] for name in ("l1_fill", "l0a", "l0b")}
        self.cycles |= own | rates
        load_byte = (1 - hits) / own["l1_rate"] + hits / own["l1_rate_l2"]
        self.rates = {LOAD: 1 / load_byte, FIX: own["fix_rate"]}
        self.latencies = {
            LOAD: own["l1_latency"],
            LOAD_L0: own["l0_latency"],
            MULTIPLY: own["multiply_latency"],
            FIX: own["fix_latency"],
        }

    def __call__(self, work: Work) -> Cost:
        if work not in self._known:
            scalar = sum(times * self.cycles[name] for name, times in work.counts if name in BY_SCALAR_UNIT)
            pipe = sum(times * self.cycles[name] for name, times in work.counts)
            if work.pipe == VECTOR:  # an instruction is issued while the one before it repeats
                repeats = sum(times * self.cycles[name] for name, times in work.counts if name.startswith("repeat_"))
                pipe -= min(repeats, sum(times * self.cycles[name] for name, times in work.counts if name == ISSUES))
            moved = work.global_bytes + sum(times for name, times in work.counts if name == "line_byte")
            if moved:
                pipe = max(pipe, moved / self.rates[work.pipe])
            issues = sum(times for name, times in work.counts if name.endswith("_issue")) or 1
            issue = issues * self.cycles["scalar_issue"]
            memory = moved / self.memory_rate
            self._known[work] = Cost(pipe, scalar, memory, self.latencies[work.pipe], issue)
        return self._known[work]
