"""Whether a simulated choice survives what is not known of the chip: ranks of one sample on all plausible chips."""

import random
from dataclasses import dataclass

from cold_kernels.ascend.errors import CompilationFailed, UnsupportedProgram
from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec

from ..search.evaluate import Evaluator
from ..search.group import groups

TOP = 5


@dataclass(frozen=True)
class Ranking:
    """How the nominally fastest configuration of a sample fares on the plausible chips; all simulated.

    Args:
        case: The shape.
        compiled: Configurations of the sample that compile and run.
        refused: Those that do not.
        best: The fastest on the nominal chip.
        chips: Plausible chips.
        in_top: Chips on which it is among the fastest `TOP`.
        first: Chips on which it is the fastest.
        regrets: On each chip, its time over that of the chip's fastest, less 1; launches included.
        net_regrets: The same without the fixed cost of launches.
        spread: Slowest over fastest configuration, nominal chip.
        rivals: Configurations within 2 % of the fastest, nominal chip.
    """

    case: str
    compiled: int
    refused: int
    best: str
    chips: int
    in_top: int
    first: int
    regrets: tuple[float, ...]
    net_regrets: tuple[float, ...]
    spread: float
    rivals: int

    def summary(self) -> dict:
        """For JSON: the regrets as median and worst."""
        middle, figures = len(self.regrets) // 2, {}
        for name, regrets in (("regret", self.regrets), ("net_regret", self.net_regrets)):
            ordered = sorted(regrets)
            figures |= {f"{name}_median": round(ordered[middle], 4), f"{name}_worst": round(ordered[-1], 4)}
        names = ("case", "compiled", "refused", "best", "chips", "in_top", "first", "rivals")
        return {name: getattr(self, name) for name in names} | figures | {"spread": round(self.spread, 2)}


def rank(spec: KernelSpec, text: str, machine: Machine, count: int, chips: int = 32, seed: int = 0) -> Ranking:
    """Rank ``count`` configurations that compile, drawn from the legal ones of a case by ``seed``.

    Raises:
        ValueError: fewer legal configurations compile than `TOP`.
        ToolchainMissing: the compiler is not installed.
    """
    case = Case.parse(text, spec)
    evaluator, plausible = Evaluator(spec, machine), machine.chip.plausible(chips)
    legal = list(groups(spec, [case])[0].legal)
    random.Random(seed).shuffle(legal)
    times, net, refused = {}, {}, 0
    for config in legal:
        if len(times) == count:
            break
        try:
            timed = evaluator.timed(config, case)
        except (CompilationFailed, UnsupportedProgram) as error:
            if isinstance(error, CompilationFailed) and not error.deterministic:
                raise
            refused += 1
            continue
        times[config] = [timed.microseconds, *(timed.on(chip) for chip in plausible)]
        floors = [len(timed.parts) * chip.constants["launch_us"] for chip in (machine.chip, *plausible)]
        net[config] = [us - floor for us, floor in zip(times[config], floors, strict=True)]
    if len(times) < TOP:
        raise ValueError(f"{spec.name} {text}: {len(times)} configurations compile, which is too few to rank {TOP}")
    best = min(times, key=lambda config: times[config][0])
    places = [sum(other[chip] < times[best][chip] for other in times.values()) for chip in range(1, chips + 1)]
    nominal = [us[0] for us in times.values()]
    return Ranking(
        text,
        len(times),
        refused,
        str(best),
        chips,
        sum(place < TOP for place in places),
        sum(place == 0 for place in places),
        _regrets(times, best),
        _regrets(net, best),
        max(nominal) / min(nominal),
        sum(us <= 1.02 * min(nominal) for us in nominal) - 1,
    )


def _regrets(times: dict, best) -> tuple[float, ...]:
    chips = range(1, len(times[best]))
    return tuple(times[best][chip] / min(us[chip] for us in times.values()) - 1 for chip in chips)
