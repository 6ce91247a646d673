"""Studies that others began on a shared storage: what is in them, and the groups that they are of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from cold_kernels.ascend.machine import Machine
from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec

from .group import groups
from .session import GroupSearch
from .shared import Shared
from .study import ABANDONED, CHIP, KERNEL, PLACE, PLANNED, SAMPLER, SEED, STARTS, WORKER, Study


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Args:
        name: Of the study.
        notes: What it keeps, among it what the groups of `joined` are made from.
        trials: Those that came to an end of their own.
        running: Those under way, or of workers that died a moment ago.
    """

    name: str
    notes: Mapping[str, Any]
    trials: tuple[FrozenTrial, ...]
    running: tuple[FrozenTrial, ...]

    @property
    def planned(self) -> int:
        return self.notes.get(PLANNED, 0)

    @property
    def open(self) -> bool:
        return len(self.trials) < self.planned

    @property
    def best(self) -> float | None:
        """The least simulated time, in microseconds."""
        return min((each.value for each in self.trials if each.state == TrialState.COMPLETE), default=None)

    @property
    def default(self) -> float | None:
        """The default's, which is tried first; None if it does not work or is not through."""
        first = next((each for each in self.trials if each.user_attrs[PLACE] == 0), None)
        return first.value if first and first.state == TrialState.COMPLETE else None

    @property
    def unusable(self) -> int:
        return sum(each.state != TrialState.COMPLETE for each in self.trials)

    @property
    def workers(self) -> dict[str, int]:
        """How many trials each worker has under way."""
        found: dict[str, int] = {}
        for each in self.running:
            if worker := each.user_attrs.get(WORKER):
                found[worker] = found.get(worker, 0) + 1
        return dict(sorted(found.items()))

    @property
    def seconds_left(self) -> float | None:
        """What is left at the median trial's pace and with as many at a time as now; None if nothing tells."""
        took = [(each.datetime_complete - each.datetime_start).total_seconds() for each in self.trials]
        took = [seconds for seconds in took if seconds >= 0]  # a clock that was set back tells nothing
        if not self.open:
            return 0.0
        if not took or not self.running:
            return None
        return (self.planned - len(self.trials)) * median(took) / len(self.running)

    def record(self) -> dict[str, Any]:
        """For JSON; times in simulated microseconds but for ``seconds_left``."""
        return {
            "study": self.name, "kernel": self.notes[KERNEL], "chip": self.notes[CHIP], "seed": self.notes[SEED],
            "cases": self.notes["cases"], "trials": len(self.trials), "planned": self.planned,
            "running": len(self.running), "unusable": self.unusable, "default_us": self.default, "best_us": self.best,
            "workers": self.workers, "seconds_left": self.seconds_left,
        }  # fmt: skip


def standings(shared: Shared, name: str | None = None) -> list[Standing]:
    """The studies of the storage in the order of their beginning; only that of the given name, if one is.

    Raises:
        ValueError: there is none of that name.
    """
    found = []
    for study in shared.storage.get_all_studies():
        notes = study.user_attrs
        if STARTS not in notes or name not in (None, study.study_name):
            continue
        abandoned = notes.get(ABANDONED, [])
        trials = [each for each in shared.storage.get_all_trials(study._study_id, deepcopy=False)]
        ended = {}
        for each in trials:
            if each.state.is_finished() and each.number not in abandoned:
                ended.setdefault(each.user_attrs[PLACE], each)
        running = tuple(each for each in trials if each.state == TrialState.RUNNING)
        found.append(Standing(study.study_name, notes, tuple(ended[place] for place in sorted(ended)), running))
    if name and not found:
        names = ", ".join(repr(each.name) for each in standings(shared)) or "none"
        raise ValueError(f"{shared.name} has no study {name!r}; it has {names}")
    return found


def joined(
    shared: Shared,
    standing: Standing,
    kernels: Mapping[str, KernelSpec],
    machine_for: Callable[[str], Machine],
) -> GroupSearch:
    """The search that a study is of, made again from what it keeps, which is data: no kernel is loaded by it.

    Args:
        kernels: What this process knows, by the specs' names.

    Raises:
        ValueError: the kernel is not among them, or here it is another one, or it has another model or compiler.
    """
    notes = standing.notes
    spec = kernels.get(notes[KERNEL])
    if spec is None:
        raise ValueError(f"study {standing.name!r} is of a kernel {notes[KERNEL]}; name its FILE.py:{notes[KERNEL]}")
    (group,) = groups(spec, [Case.parse(text, spec) for text in notes["cases"]])
    machine = machine_for(notes[CHIP])
    made = optuna.storages.InMemoryStorage()  # to see what this machine calls it, and write nothing if it is another
    mine = Study(group, machine, made, notes[SEED], notes[SAMPLER])
    if mine.name != standing.name:
        other = [what for what in ("source", "declaration", "model", "versions", "cases", "method")
                 if mine.noted(what) != notes.get(what)]  # fmt: skip
        raise ValueError(
            f"study {standing.name!r} differs from this machine in {', '.join(other) or 'its name'}; "
            "install the same cold-kernels and compiler here"
        )
    study = Study(group, machine, shared.storage, notes[SEED], notes[SAMPLER], shared)
    return GroupSearch(study.group, study)
