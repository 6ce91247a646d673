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


def search(
    study: optuna.Study,
    group: Group,
    evaluator: Evaluator,
    trials: int,
    interrupt: Interrupt,
    report: Callable[[int, Record, Outcome], None],
) -> None:
    """Run trials until ``trials`` are decided, those of earlier runs included, or nothing legal is left.

    Args:
        report: Called with the number of decided trials, the latest configuration and its outcome.

    Raises:
        KeyboardInterrupt: Ctrl-C; the running trial was abandoned, the others are on disk.
    """
    sampler = study.sampler
    done = len(decided(study))
    best = min((trial.value for trial in decided(study) if trial.state == TrialState.COMPLETE), default=None)
    while done < min(trials, len(group.legal)):
        trial = study.ask(sampler.distributions)
        config = sampler.config(trial)
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
