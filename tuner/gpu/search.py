"""A search of a GPU's space: one tunable after the other, as far as that helps."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from tuner.search.evaluate import geomean
from tuner.search.group import Group

Judge = Callable[[Record, Case], float]
"""Seconds of a configuration on a case; infinite where it does not work."""


@dataclass
class Search:
    """Configurations of one group of shapes, judged at most ``trials`` times over all of its cases together.

    First all tunables, by the geometric mean over the cases, as they must share those that shape sums; then for each
    case those that need not be shared.
    """

    group: Group
    judge: Judge
    trials: int
    tried: dict[tuple[Record, Case], float] = field(default_factory=dict)

    def best(self) -> dict[Case, Record]:
        """The configuration for each case; only those that work everywhere count, the default among them if it does."""
        spec, cases = self.group.spec, self.group.cases
        shared = self._descend(self.group.default, spec.space, cases)
        free = [name for name in spec.space if name not in spec.invariant]
        return {case: self._descend(shared, free, (case,)) for case in cases}

    def seconds(self, config: Record, cases: Iterable[Case]) -> float:
        """Geometric mean over the cases; infinite where it is illegal or does not work for one of them."""
        found = []
        for case in cases:
            if not self.group.spec.allows(config, case.shape()):
                return math.inf
            key = (config, case)
            if key not in self.tried:
                if len(self.tried) >= self.trials * len(self.group.cases):
                    return math.inf
                self.tried[key] = self.judge(config, case)
            found.append(self.tried[key])
            if math.isinf(found[-1]):
                return math.inf
        return geomean(found)

    def _descend(self, start: Record, names: Iterable[str], cases: tuple[Case, ...]) -> Record:
        names, best, least = list(names), start, self.seconds(start, cases)
        improved = True
        while improved:
            improved = False
            for name in names:
                for config in neighbours(self.group.spec, best, name):
                    now = self.seconds(config, cases)
                    if now < least * (1 - 1e-3):
                        best, least, improved = config, now, True
        return best


def neighbours(spec: KernelSpec, config: Record, name: str) -> list[Record]:
    """The configuration with another value of one tunable: the next ones up and down, or all of a short choice."""
    values = spec.space[name].values
    at = values.index(config[name])
    near = range(len(values)) if len(values) <= 3 else (at - 1, at + 1)
    return [Record(config, **{name: values[i]}) for i in near if 0 <= i < len(values) and i != at]
