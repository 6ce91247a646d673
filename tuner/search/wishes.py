"""Optuna's samplers by name: what they would try next, legal or not."""

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

STARTUP_TRIALS = 10
POPULATION = 16
"""Of NSGA-II: its own default is 50, most of a whole search here."""


def _tpe(seed: int) -> BaseSampler:
    # What runs at the same time is taken; to TPE it is nothing.
    return TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=False, seed=seed)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(n_startup_trials=STARTUP_TRIALS, seed=seed)


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


def _cmaes(seed: int) -> BaseSampler:
    return CmaEsSampler(n_startup_trials=STARTUP_TRIALS, seed=seed, warn_independent_sampling=False)


def _qmc(seed: int) -> BaseSampler:
    return QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)


_BY_HISTORY: Mapping[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "gp": _gp}
"""Those that look at finished trials alone, whoever proposed them."""
_BY_STATE: Mapping[str, Callable[[int], BaseSampler]] = {"nsga2": _nsga2, "cmaes": _cmaes, "qmc": _qmc}
"""Those that keep something from one trial of theirs to the next."""
NAMES = (*_BY_HISTORY, *_BY_STATE)
NEEDS = {"gp": "scipy", "cmaes": "cmaes", "qmc": "scipy"}
"""Packages that Optuna leaves to its users."""


def check_installed(name: str) -> None:
    """Raise ValueError if a sampler's package is missing."""
    package = NEEDS.get(name)
    if package and importlib.util.find_spec(package) is None:
        raise ValueError(f"--sampler {name} needs the package {package}: python -m pip install {package}")


class Wishes:
    """What one of Optuna's samplers wishes for at a place of the search.

    A wish depends on the seed, the place and the trials learned so far. Samplers that keep a state are asked again
    from the first place on, and are told what became of the configuration that ran for a wish, as ``ran`` says it.

    Args:
        name: One of `NAMES`.
        seed: Of the search.
        distributions: Of the tunables that have a choice.
        ran: The trial that answers a wish; None if there is none yet.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        distributions: Mapping[str, BaseDistribution],
        ran: Callable[[Mapping[str, Any]], FrozenTrial | None],
    ) -> None:
        check_installed(name)
        self._name = name
        self._seed = seed
        self._distributions = dict(distributions)
        self._ran = ran
        self._learned: Sequence[FrozenTrial] = ()
        self._study: optuna.Study | None = None
        self._asked = 0

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Take note of all trials that are finished, in the order of the search."""
        self._learned, self._study = list(trials), None

    def at(self, place: int, draw: int) -> Mapping[str, Any]:
        """The wish at a place, by tunable; empty where any configuration is as good. ``draw`` is a random number."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return self._by_history(draw) if self._name in _BY_HISTORY else self._by_state(place)

    def _by_history(self, draw: int) -> Mapping[str, Any]:
        if self._study is None:  # a new one, as studies keep the trials that they have read
            self._study = optuna.create_study()
            self._study.add_trials(self._learned)
        if sum(trial.state != TrialState.FAIL for trial in self._learned) < STARTUP_TRIALS:
            return {}
        self._study.sampler = _BY_HISTORY[self._name](draw)
        trial = self._study.ask(self._distributions)
        self._study.tell(trial, state=TrialState.FAIL)  # the next wish of the batch knows nothing of this one
        return trial.params

    def _by_state(self, place: int) -> Mapping[str, Any]:
        if self._study is None or place < self._asked:
            self._study, self._asked = optuna.create_study(sampler=_BY_STATE[self._name](self._seed)), 0
        while self._asked <= place:
            trial = self._study.ask(self._distributions)
            self._asked += 1
            ran = self._ran(trial.params)
            if self._asked > len(self._learned):
                continue
            if ran is None or ran.state != TrialState.COMPLETE:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, ran.value)
        return trial.params
