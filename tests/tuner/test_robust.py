import optuna
import pytest

from cold_kernels.cases import Case
from cold_kernels.record import Record
from tuner.search.decision import Referee
from tuner.search.evaluate import Evaluator
from tuner.search.group import groups
from tuner.search.interrupt import Interrupt
from tuner.search.pool import InProcess
from tuner.search.search import search
from tuner.search.study import Study
from tuner.search.tasks import CHIPS, Workplace

from .fake_machine import fake_machine
from .tiny_spec import tiny_add

optuna.logging.set_verbosity(optuna.logging.WARNING)
(GROUP,) = groups(tiny_add, [Case.parse(text, tiny_add) for text in tiny_add.targets])
SMALL, LARGE = GROUP.cases
BEST_OF_LARGE = Record(TILE=4096, AUTO=True)


class Doubter(Evaluator):
    """Finds what it is told to find wrong, but not before the search is over."""

    def __init__(self):
        super().__init__(tiny_add, fake_machine("Ascend910B3"))
        self.doubted = set()
        self.seen = []

    def wrong(self, config, case):
        self.seen.append((config, case))
        return f"off on {case}" if (config, case) in self.doubted else super().wrong(config, case)


@pytest.fixture
def searched():
    evaluator = Doubter()
    study = Study(GROUP, evaluator.machine, optuna.storages.InMemoryStorage(), 0)
    place = Workplace(evaluator.machine, [GROUP])
    place.evaluator = lambda spec: evaluator
    with Interrupt() as interrupt, InProcess(place) as pool:
        search(study, 0, pool, 100, interrupt, lambda *_: None)
        evaluator.seen.clear()
        yield evaluator, Referee(study, 0, pool)


def configs(decision):
    return {row.case: row.config for row in decision.rows}


def test_what_wins_has_run_all_its_targets_and_hard_cases(searched):
    evaluator, referee = searched
    decision = referee.decide()
    chosen = configs(decision)
    assert chosen[LARGE] == BEST_OF_LARGE
    hard = next(case for case in GROUP.hard if case.sizes.N == 777)
    assert {(config, case) for case, config in chosen.items()} <= set(evaluator.seen)
    assert {(GROUP.default, case) for case in (SMALL, LARGE, hard)} <= set(evaluator.seen)
    assert (chosen[SMALL], hard) in evaluator.seen or chosen[SMALL].TILE > 1024
    evaluator.seen.clear()
    assert configs(referee.decide()) == chosen
    assert not evaluator.seen


def test_a_wrong_winner_makes_room_for_the_next(searched):
    evaluator, referee = searched
    evaluator.doubted = {(BEST_OF_LARGE, LARGE)}
    decision = referee.decide()
    assert configs(decision)[LARGE] not in (BEST_OF_LARGE, GROUP.default)
    assert f"{BEST_OF_LARGE} is wrong: off on {LARGE}; " in decision.reason


def test_a_wrong_default_is_replaced_and_has_no_time(searched):
    evaluator, referee = searched
    evaluator.doubted = {(GROUP.default, LARGE)}
    decision = referee.decide()
    assert decision.reason.startswith(f"the default is wrong: off on {LARGE}; ")
    for row in decision.rows:
        assert (row.default_us, row.gain, row.wins, row.worst_regret) == (None, None, CHIPS, 0)
        assert row.entry(GROUP).details["default_us"] is row.entry(GROUP).details["default_net_us"] is None


def test_nothing_right_is_no_rows(searched):
    evaluator, referee = searched
    evaluator.doubted = {(config, case) for config in GROUP.legal for case in GROUP.cases}
    decision = referee.decide()
    assert not decision.rows
    assert "no configuration that was tried works; of the others 2 of 15: does not compile: " in decision.reason
