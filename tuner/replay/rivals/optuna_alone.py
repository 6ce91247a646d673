"""Optuna as somebody uses it by hand: its TPE on the product of all values, illegal points rejected."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from cold_kernels.record import Record

from ..space import RecordedSpace

ASKS = 4
"""For each evaluation at most so many proposals, which illegal points and repetitions use up."""


def optuna_alone(space: RecordedSpace, seed: int, evaluations: int) -> float:
    """The least value that it finds; the default is tried first.

    Illegal points are told as failed and a repetition is told what is known: neither counts as an evaluation. Each
    proposal knows all outcomes before it, as one trial runs at a time.
    """
    study = optuna.create_study(sampler=TPESampler(seed=seed))
    study.enqueue_trial({name: _told(space, name, space.default[name]) for name in space.values})
    tried: set[Record] = set()
    for _ in range(ASKS * evaluations):
        if len(tried) == evaluations:
            break
        trial = study.ask()
        config = Record({name: _suggested(space, name, trial) for name in space.values})
        value = space.usable.get(config)
        if config in space.recorded:
            tried.add(config)
        if value is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)
    return min((space.usable[config] for config in tried if config in space.usable), default=math.inf)


def _suggested(space: RecordedSpace, name: str, trial: optuna.Trial) -> Any:
    values, ordered = space.values[name], _ordered(space)[name]
    if ordered:
        return values[trial.suggest_int(name, 0, len(values) - 1)]
    return trial.suggest_categorical(name, values)


def _told(space: RecordedSpace, name: str, value: Any) -> Any:
    return space.values[name].index(value) if _ordered(space)[name] else value


def _ordered(space: RecordedSpace) -> Mapping[str, bool]:
    return dict(zip(space.values, space.domain.ordered, strict=True))
