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
from tuner.search.group import groups
from tuner.search.interrupt import Interrupt
from tuner.search.journal import journal
from tuner.search.pool import InProcess
from tuner.search.search import search
from tuner.search.study import Study
from tuner.search.tasks import Workplace

from .yardstick import python_loop

TRIALS = 16
"""The first eight spread, the rest by the model."""


def searched(group, folder, numbers):
    """A search from its start, kept in a file of its own."""
    machine = fake_machine(DEFAULT_CHIP)
    path, pool = folder / f"{next(numbers)}.journal", InProcess(Workplace(machine, [group]))
    with journal(path) as storage, Interrupt() as interrupt, pool:
        study = Study(group, machine, storage, seed=0)
        search(study, 0, pool, TRIALS, interrupt, lambda *_: None)
        return study.decided


def test_search(race, tmp_path):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (group,) = groups(tiny_add, [Case.parse(text, tiny_add) for text in tiny_add.targets])
    run = functools.partial(searched, group, tmp_path, itertools.count())
    trials = run()
    assert len(trials) == TRIALS
    assert {config.TILE for config, outcome in trials if outcome.failure} == {BROKEN_TILE}
    best, _ = min(
        ((config, outcome.value) for config, outcome in trials if not outcome.failure and outcome.us),
        key=lambda each: each[1],
    )
    assert best.TILE != WRONG_TILE
    times = race(run, {"Python loop": python_loop}, rounds=10)
    print(f"; {times.median / TRIALS * 1e3:.2f} ms a trial", end="")
