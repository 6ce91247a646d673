"""What a search costs beyond compiling and simulating: trials proposed, timed, checked and kept, with a machine that
does both in no time."""

import functools
import itertools

import pytest

pytest.importorskip("triton")
pytest.importorskip("optuna")
import optuna

from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.cases import Case
from tests.tuner.fake_machine import BROKEN_TILE, WRONG_TILE, fake_machine
from tests.tuner.tiny_spec import tiny_add
from tuner.search.evaluate import Evaluator
from tuner.search.group import groups
from tuner.search.interrupt import Interrupt
from tuner.search.journal import journal
from tuner.search.study import open_study, search
from tuner.search.trial import decided, recorded

from .yardstick import python_loop

TRIALS = 16
"""The first ten at random, the rest by TPE."""


def searched(group, folder, numbers):
    """A search from its start, kept in a file of its own."""
    evaluator = Evaluator(group.spec, fake_machine(DEFAULT_CHIP))
    with journal(folder / f"{next(numbers)}.journal") as storage, Interrupt() as interrupt:
        study = open_study(group, evaluator, storage, seed=0)
        search(study, group, evaluator, TRIALS, interrupt, lambda *_: None)
        return study, decided(study)


def test_search(race, tmp_path):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (group,) = groups(tiny_add, [Case.parse(text, tiny_add) for text in tiny_add.targets])
    run = functools.partial(searched, group, tmp_path, itertools.count())
    study, trials = run()
    assert len(trials) == TRIALS
    failed = {study.sampler.config(trial).TILE for trial in trials if recorded(trial).failure}
    assert failed == {BROKEN_TILE}
    assert study.sampler.config(study.best_trial).TILE != WRONG_TILE
    times = race(run, {"Python loop": python_loop}, rounds=10)
    print(f"; {times.median / TRIALS * 1e3:.2f} ms a trial", end="")
