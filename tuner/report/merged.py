"""Several storages as one journal: what was tried on several machines, in one place."""

import os
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from .studies import storage_at


def merge(places: Sequence[str], out: Path) -> str:
    """Write all studies of ``places`` into a new journal, each trial of a search once; the line to print about it.

    Studies of one name are one search, run in several places. A trial is known by its place in the search: of two with
    the same place the first one counts. What was still running is left out.

    Raises:
        ValueError: a storage cannot be read, or ``out`` exists.
    """
    if out.exists():
        raise ValueError(f"{out} exists; name a new file")
    part = out.with_name(f"{out.name}.part")
    part.unlink(missing_ok=True)
    merged = JournalStorage(JournalFileBackend(str(part), lock_obj=JournalFileOpenLock(str(part))))
    taken: dict[str, set] = {}
    trials = 0
    for place in places:
        storage = storage_at(place)
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=name, storage=storage)
            into = optuna.create_study(study_name=name, storage=merged, load_if_exists=True)
            for key, value in study.user_attrs.items():
                if key not in into.user_attrs:
                    into.set_user_attr(key, value)
            known = taken.setdefault(name, set())
            given_up = study.user_attrs.get("abandoned", ())
            for trial in study.get_trials(deepcopy=False):
                at = trial.user_attrs.get("place", f"trial {trial.number}")
                if trial.state.is_finished() and trial.number not in given_up and at not in known:
                    into.add_trial(trial)
                    known.add(at)
                    trials += 1
    os.replace(part, out)
    return f"wrote {out}: {len(taken)} searches, {trials} trials"
