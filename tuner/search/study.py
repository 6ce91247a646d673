"""The search of one group: a real Optuna study, resumed where it was left."""

import hashlib
from collections.abc import Callable

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from cold_kernels.record import Record
from cold_kernels.tables import source_digest

from .evaluate import Evaluator
from .group import Group
from .interrupt import Interrupt
from .sampler import LegalSampler
from .trial import Outcome, abandon, attempt, decided, record

KNOWN = "known"
"""Marks a trial of what a table knew: it is none of those asked for."""


def open_study(group: Group, evaluator: Evaluator, storage: BaseStorage, seed: int) -> optuna.Study:
    """The group's study in ``storage``, made or resumed.

    A study belongs to a kernel's source and space, a group and its cases, a chip and its model, the
    compiler's versions and a seed; where any of these differs it is another study. A trial that was running
    when its process was killed is closed as failed, and its configuration is proposed again.
    """
    machine = evaluator.machine
    stands_for = {
        "source": source_digest(group.spec),
        "declaration": group.declaration(),
        "model": machine.model,
        "versions": dict(machine.versions),
        "cases": [str(case) for case in group.cases],
    }
    digest = hashlib.sha256(repr(stands_for).encode()).hexdigest()[:12]
    study = optuna.create_study(
        study_name=f"{group} {machine.chip.name} seed={seed} {digest}",
        storage=storage,
        sampler=LegalSampler(group, seed),
        load_if_exists=True,
    )
    if not study.user_attrs:
        for name, value in stands_for.items():
            study.set_user_attr(name, value)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        abandon(study, trial)
    return study


def planned(study: optuna.Study, group: Group, trials: int) -> int:
    """How many trials are decided when a search for ``trials`` is over.

    What tables know is tried besides, and ``trials`` that earlier runs did count.
    """
    done = decided(study)
    besides = sum(KNOWN in trial.user_attrs for trial in done)
    return min(len(group.legal), max(trials + besides, len(done)) + len(study.sampler.pending(study)))


def search(
    study: optuna.Study,
    group: Group,
    evaluator: Evaluator,
    trials: int,
    interrupt: Interrupt,
    report: Callable[[int, Record, Outcome], None],
) -> None:
    """Run trials until as many are decided as are `planned`, or nothing legal is left.

    Args:
        report: Called with the number of decided trials, the latest configuration and its outcome.

    Raises:
        KeyboardInterrupt: Ctrl-C; the running trial was abandoned, the others are on disk.
    """
    sampler = study.sampler
    done, total = len(decided(study)), planned(study, group, trials)
    best = min((trial.value for trial in decided(study) if trial.state == TrialState.COMPLETE), default=None)
    while done < total:
        known = sampler.pending(study)
        trial = study.ask(sampler.distributions)
        config = sampler.config(trial)
        if config in known:
            trial.set_user_attr(KNOWN, True)
        try:
            with interrupt.allowed():
                outcome = attempt(group, evaluator, config, best)
        except BaseException:
            abandon(study, trial)
            raise
        record(study, trial, config, outcome)
        done += 1
        if outcome.us and not outcome.failure:
            best = outcome.value if best is None else min(best, outcome.value)
        report(done, config, outcome)
