"""Searches as they stand in a journal or another storage, read without the kernel, the compiler or a lock."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from cold_kernels.record import Record

from ..search.evaluate import geomean


@dataclass(frozen=True)
class Tried:
    """A trial that is over.

    Args:
        number: Its place in the order of the search, from 0.
        config: The configuration.
        us: Simulated microseconds by case; empty if it does not compile.
        rung: The highest of `cold_kernels.tables.RUNGS` that it reached.
        failure: Why it cannot be used; "" if it can.
        begun: When it began, if that is known.
        seconds: How long it ran, if that is known.
    """

    number: int
    config: Record
    us: Mapping[str, float]
    rung: str
    failure: str
    begun: datetime.datetime | None
    seconds: float | None

    @property
    def value(self) -> float:
        """Geometric mean over the cases, in microseconds."""
        return geomean(self.us.values())

    @property
    def usable(self) -> bool:
        """Whether it may win: it was timed on every case, and nothing speaks against it."""
        return bool(self.us) and not self.failure


@dataclass(frozen=True)
class Search:
    """One group of a kernel, searched on one chip with one seed.

    Args:
        name: As the storage has it: kernel, group, chip, seed and a digest of what it stands for.
        kernel, chip: The first word of the name, and the word before the seed.
        cases: What was timed, in the language of `cold_kernels.cases.Case`.
        trials: Those that are over, in the order of the search.
        running: How many are not.
        study: Optuna's own.
    """

    name: str
    kernel: str
    chip: str
    cases: tuple[str, ...]
    trials: tuple[Tried, ...]
    running: int
    study: optuna.Study

    @property
    def usable(self) -> list[Tried]:
        return [trial for trial in self.trials if trial.usable]

    @property
    def best(self) -> Tried | None:
        """The fastest over all cases; None if nothing works."""
        return min(self.usable, key=lambda trial: trial.value, default=None)

    @property
    def default(self) -> Tried | None:
        """The trial of the default, which comes first; None if it does not work."""
        first = self.trials[0] if self.trials else None
        return first if first and first.usable else None

    @property
    def title(self) -> str:
        """The name without the digest."""
        return self.name.rpartition(" ")[0]

    def best_for(self, case: str) -> Tried | None:
        """The fastest on one case."""
        return min(self.usable, key=lambda trial: trial.us[case], default=None)


def storage_at(where: str) -> BaseStorage:
    """A storage to read: a journal of ``autotune``, or the URL of a database.

    Raises:
        ValueError: there is no such file, it is no journal, or the database cannot be read.
    """
    if "://" in where:
        try:
            return optuna.storages.get_storage(where)
        except Exception as error:
            raise ValueError(f"cannot read {where.rpartition('@')[2]}: {str(error).splitlines()[0]}") from error
    if not Path(where).is_file():
        raise ValueError(f"there is no journal {where}")
    try:
        return JournalStorage(JournalFileBackend(where))
    except Exception as error:
        raise ValueError(f"{where} is no journal of trials: {error}") from error


def searches(where: str) -> list[Search]:
    """The searches of a storage, in the order in which they began.

    Raises:
        ValueError: as `storage_at`, or a study was not made by ``autotune``.
    """
    storage = storage_at(where)
    return [_search(optuna.load_study(study_name=name, storage=storage)) for name in _names(storage)]


def _names(storage: BaseStorage) -> list[str]:
    return [study.study_name for study in sorted(storage.get_all_studies(), key=lambda study: study._study_id)]


def _search(study: optuna.Study) -> Search:
    words = study.study_name.split(" ")
    notes: dict[str, Any] = study.user_attrs
    seed = next((place for place, word in enumerate(words) if word.startswith("seed=")), None)
    if seed is None or "cases" not in notes:
        raise ValueError(f"study {study.study_name!r} is none of autotune's")
    trials = study.get_trials(deepcopy=False)
    over = [trial for trial in trials if trial.state.is_finished() and trial.number not in notes.get("abandoned", ())]
    over.sort(key=lambda trial: (trial.user_attrs.get("place", trial.number), trial.number))
    return Search(
        name=study.study_name,
        kernel=words[0],
        chip=words[seed - 1],
        cases=tuple(notes["cases"]),
        trials=tuple(_tried(number, trial) for number, trial in enumerate(over)),
        running=sum(trial.state == TrialState.RUNNING for trial in trials),
        study=study,
    )


def _tried(number: int, trial: FrozenTrial) -> Tried:
    kept = trial.user_attrs
    return Tried(
        number=number,
        config=Record(kept["config"]),
        us=kept.get("us", {}),
        rung=kept.get("rung", ""),
        failure=kept.get("failure", ""),
        begun=trial.datetime_start,
        seconds=trial.duration.total_seconds() if trial.duration else None,
    )
