"""What is tried next: legal configurations of a group, none of them twice."""

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from cold_kernels.record import Record

from .domain import Domain
from .surrogate import Surrogate
from .wishes import NAMES, Wishes, check_installed

MODEL, RANDOM = "model", "random"
SAMPLERS = (MODEL, *NAMES, RANDOM)
"""By name: `Surrogate`, Optuna's samplers, and any legal configuration."""
DEFAULT = MODEL
LEARNED = 8
"""Finished trials before which nothing is concluded from them."""
CANDIDATES = 30
"""Of so many random configurations the first trials take the one farthest from all before."""
NEIGHBOURS = 5
"""The neighbours of so many of the fastest configurations are tried, those of the fastest first."""
OF_EIGHT = {MODEL: (7,), **dict.fromkeys(NAMES, (1, 2, 3, 5, 6, 7)), RANDOM: ()}
"""By sampler: of eight places those where a neighbour of the fastest is tried, once there is something to go by."""


class LegalSampler:
    """Proposes the default, what tables know, then configurations spread over the space, then what it has learned.

    What it learns by is the sampler's name. "model" tries what a `Surrogate` expects most of. One of Optuna's works on
    positions among the tunables' values, and what it wishes for moves to the nearest legal configuration that was not
    tried yet, so a trial's parameters are always what ran. Of eight places some go to neighbours of the fastest
    configurations, which differ from them by one step of one tunable; docs/search_quality.md says why how many.

    A proposal depends on the seed, on its place in the search, on what came before it and on the outcomes that the
    sampler was told by `learn`, in order: not on when trials end, nor on how many run at a time.

    Args:
        domain: What there is to try.
        seed: Another one gives another search.
        sampler: One of `SAMPLERS`.

    Raises:
        ValueError: there is no such sampler, or a package that it needs is missing.
    """

    def __init__(self, domain: Domain, seed: int, sampler: str = DEFAULT) -> None:
        check_sampler(sampler)
        self._domain = domain
        self._seed = seed
        self._name = sampler
        self._points = domain.points
        self.distributions: dict[str, BaseDistribution] = {
            name: IntDistribution(0, len(values) - 1) for name, values in domain.values.items()
        }
        self._learned: list[FrozenTrial] = []
        self._by_point: dict[tuple[int, ...], FrozenTrial] = {}
        self._surrogate = Surrogate(domain) if sampler == MODEL else None
        self._wishes: Wishes | None = None
        if sampler in NAMES:
            open_choices = {name: each for name, each in self.distributions.items() if not each.single()}
            self._wishes = Wishes(sampler, seed, open_choices, self._ran)

    def learn(self, trials: Iterable[FrozenTrial]) -> None:
        """Take note of finished trials, in the order of the search."""
        self._learned += trials
        self._by_point = {self._point(trial.params): trial for trial in self._learned}
        if self._surrogate:
            self._surrogate.learn({point: _value(trial) for point, trial in self._by_point.items()})
        if self._wishes:
            self._wishes.learn(self._learned)

    def config(self, params: dict[str, Any]) -> Record:
        """The configuration that a trial's parameters stand for."""
        return self._points[self._point(params)]

    def params(self, config: Record) -> dict[str, int]:
        """A trial's parameters for ``config``."""
        return dict(zip(self.distributions, self._domain.point(config), strict=True))

    def propose(self, place: int, taken: Collection[Record]) -> Record:
        """What to try at a place of the search, counted from 0, where ``taken`` are tried already.

        Raises:
            RuntimeError: nothing legal is left.
        """
        if self._domain.default not in taken:
            return self._domain.default
        if warm := next((config for config in self._domain.warm_start if config not in taken), None):
            return warm
        free = [point for point, config in self._points.items() if config not in taken]
        if not free:
            raise RuntimeError(f"all {len(taken)} legal configurations were tried")
        draw = random.Random(f"{self._seed}/{place}")
        if place % 8 in OF_EIGHT[self._name] and len(self._learned) >= LEARNED:
            if near := self._neighbours(set(free)):
                return self._points[draw.choice(near)]
        if self._surrogate:
            return self._points[self._modelled(free, taken, draw)]
        if self._wishes:
            return self._points[self._wished(place, free, draw)]
        return self._points[draw.choice(free)]

    def _modelled(self, free: list[tuple[int, ...]], taken: Collection[Record], draw: random.Random) -> tuple[int, ...]:
        points = [self._domain.point(config) for config in taken]
        if len(self._learned) < LEARNED or not self._surrogate.ready:
            return self._surrogate.spread_from(draw.sample(free, min(CANDIDATES, len(free))), points)
        return self._surrogate.best_of(free, [point for point in points if point not in self._by_point])

    def _wished(self, place: int, free: list[tuple[int, ...]], draw: random.Random) -> tuple[int, ...]:
        wish = self._wishes.at(place, draw.getrandbits(31))
        if not wish:
            return draw.choice(free)
        wished = self._point(wish)
        return min(free, key=lambda point: (_distance(point, wished), point))

    def _neighbours(self, free: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What was not tried of the neighbours of the fastest configuration that has such."""
        usable = [(value, point) for point, each in self._by_point.items() if (value := _value(each)) is not None]
        for _, point in sorted(usable)[:NEIGHBOURS]:
            if near := [other for other in self._domain.neighbours(point) if other in free]:
                return near
        return []

    def _ran(self, wish: Mapping[str, Any]) -> FrozenTrial | None:
        wished = self._point(wish)
        return self._by_point.get(min(self._points, key=lambda point: (_distance(point, wished), point)))

    def _point(self, params: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(int(params.get(name, 0)) for name in self.distributions)


def check_sampler(name: str) -> None:
    """Raise ValueError if there is no such sampler, or a package that it needs is missing."""
    if name not in SAMPLERS:
        raise ValueError(f"--sampler {name}: there is none of that name; use {', '.join(SAMPLERS)}")
    check_installed(name)


def _value(trial: FrozenTrial) -> float | None:
    return trial.value if trial.state == TrialState.COMPLETE else None


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))
