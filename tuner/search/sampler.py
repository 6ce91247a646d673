"""Optuna's TPE over the legal configurations of a group, none of them twice."""

import random
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from cold_kernels.record import Record

from .group import Group
from .trial import decided

STARTUP_TRIALS = 10


class LegalSampler(BaseSampler):
    """Proposes the default, what tables know, then random legal configurations, then what TPE likes best.

    TPE works on positions among the tunables' values. Its proposal moves to the nearest legal configuration
    that was not tried yet, so a trial's parameters are always what ran.

    Each proposal is drawn from a generator of its own, seeded by ``seed`` and the number of trials decided so
    far: a study that was killed and resumed proposes what it would have proposed undisturbed.

    Args:
        group: What is tuned.
        seed: Another one gives another search.
    """

    def __init__(self, group: Group, seed: int) -> None:
        self._group = group
        self._seed = seed
        self._points = {group.point(config): config for config in group.legal}
        self.distributions: dict[str, BaseDistribution] = {
            name: IntDistribution(0, len(tunable.values) - 1) for name, tunable in group.spec.space.items()
        }

    def config(self, trial: optuna.Trial | FrozenTrial) -> Record:
        """The configuration that a trial's parameters stand for."""
        return self._points[self._point(trial.params)]

    def pending(self, study: optuna.Study) -> list[Record]:
        """What tables know and the study has not tried."""
        tried = {self.config(trial) for trial in decided(study)}
        return [config for config in self._group.known if config not in tried]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        tried = {self._point(other.params) for other in decided(study)}
        free = [point for point in self._points if point not in tried]
        if not tried:
            return self._params(self._group.point(self._group.default))
        if known := self.pending(study):
            return self._params(self._group.point(known[0]))
        if not free:
            raise RuntimeError(f"{self._group}: all {len(tried)} legal configurations were tried")
        draw = random.Random(f"{self._seed}/{len(tried)}")
        # One trial runs at a time, so there is nobody to lie to about running ones.
        tpe = TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=False, seed=draw.getrandbits(31))
        open_choices = {name: d for name, d in self.distributions.items() if not d.single()}
        proposal = tpe.sample_relative(study, trial, open_choices)
        if not proposal:
            return self._params(draw.choice(free))
        wish = self._point(proposal)
        return self._params(min(free, key=lambda point: (_distance(point, wish), point)))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        raise ValueError(f"{name!r} is no tunable of {self._group}")

    def _point(self, params: dict[str, Any]) -> tuple[int, ...]:
        return tuple(int(params.get(name, 0)) for name in self.distributions)

    def _params(self, point: tuple[int, ...]) -> dict[str, int]:
        return dict(zip(self.distributions, point, strict=True))


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
