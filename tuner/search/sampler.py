"""Optuna's TPE over the legal configurations of a group, none of them twice."""

import random
from collections.abc import Collection, Iterable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from cold_kernels.record import Record

from .group import Group

STARTUP_TRIALS = 10


class LegalSampler:
    """Proposes the default, what tables know, then random legal configurations, then what TPE likes best.

    TPE works on positions among the tunables' values. Its proposal moves to the nearest legal configuration
    that was not tried yet, so a trial's parameters are always what ran.

    A proposal depends on the seed, on its place in the search, on what came before it and on the outcomes that the
    sampler was told by `learn`, in order: not on when trials end, nor on how many run at a time.

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
        self._learned: list[FrozenTrial] = []
        self._history = optuna.create_study()

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take note of finished trials; those that failed teach TPE nothing."""
        self._learned += trials
        # Another study, as one keeps the trials that it has read; in the order of the search, whatever their numbers.
        self._history = optuna.create_study()
        self._history.add_trials(self._learned)

    def config(self, params: dict[str, Any]) -> Record:
        """The configuration that a trial's parameters stand for."""
        return self._points[self._point(params)]

    def params(self, config: Record) -> dict[str, int]:
        """A trial's parameters for ``config``."""
        return dict(zip(self.distributions, self._group.point(config), strict=True))

    def propose(self, place: int, taken: Collection[Record]) -> Record:
        """What to try at a place of the search, counted from 0, where ``taken`` are tried already.

        Raises:
            RuntimeError: nothing legal is left.
        """
        if self._group.default not in taken:
            return self._group.default
        if warm := next((config for config in self._group.warm_start if config not in taken), None):
            return warm
        free = [point for point, config in self._points.items() if config not in taken]
        if not free:
            raise RuntimeError(f"{self._group}: all {len(taken)} legal configurations were tried")
        draw = random.Random(f"{self._seed}/{place}")
        # What runs at the same time is taken; to TPE it is nothing.
        tpe = TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=False, seed=draw.getrandbits(31))
        open_choices = {name: d for name, d in self.distributions.items() if not d.single()}
        asking = create_trial(state=TrialState.RUNNING)
        wish = tpe.sample_relative(self._history, asking, open_choices)
        if not wish:
            return self._points[draw.choice(free)]
        wished = self._point(wish)
        return self._points[min(free, key=lambda point: (_distance(point, wished), point))]

    def _point(self, params: dict[str, Any]) -> tuple[int, ...]:
        return tuple(int(params.get(name, 0)) for name in self.distributions)


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
