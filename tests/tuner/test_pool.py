"""Tasks done in other processes: their answers, and what goes wrong there."""

from pathlib import Path

import pytest

from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.specs import load
from tuner.search.group import groups
from tuner.search.pool import InProcess, Processes, answers
from tuner.search.tasks import Attempt, Check, Plan, TimeOnChips, Workplace

from .fake_machine import BROKEN_TILE, WRONG_TILE, fake_machine

SPEC = f"{Path(__file__).with_name('tiny_spec.py')}:tiny_add"
CHIP = "Ascend910B3"


@pytest.fixture(scope="module")
def group():
    spec = load(SPEC)
    (found,) = groups(spec, [Case.parse(text, spec) for text in spec.targets])
    return found


def without_compiler(chip):
    raise ToolchainMissing("no compiler", "install one")


class Unsendable(Exception):
    """Needs more than a message to be made anew."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def broken(chip):
    raise Unsendable("this", "that")


def test_answers_are_those_of_one_process(group):
    small = group.cases[0]
    tasks = [Attempt(Record(TILE=tile, AUTO=True), 0.0) for tile in (1024, BROKEN_TILE, WRONG_TILE, 16384)]
    tasks += [Check(Record(TILE=tile, AUTO=True), small, needed=True) for tile in (1024, WRONG_TILE)]
    tasks += [TimeOnChips(Record(TILE=tile, AUTO=True), small) for tile in (1024, 16384)]
    with InProcess(Workplace(fake_machine(CHIP), [group])) as pool:
        here = dict(answers(pool, 0, tasks))
    with Processes(Plan.of(fake_machine, CHIP, [(SPEC, group)]), 2) as pool:
        assert dict(answers(pool, 0, tasks)) == here
    assert list(here) == tasks
    assert here[tasks[4]] == "" and here[tasks[5]].startswith("is wrong")
    assert len(here[tasks[6]].on) == 32 and here[tasks[7]].startswith("cannot be timed: add needs")


@pytest.mark.parametrize(
    ("machine_for", "error", "message"),
    [
        (without_compiler, ToolchainMissing, "no compiler\n  install one"),
        (broken, RuntimeError, "Unsendable: this and"),
    ],
)
def test_what_is_raised_there_is_raised_here(group, machine_for, error, message):
    with Processes(Plan.of(machine_for, CHIP, [(SPEC, group)]), 1) as pool, pytest.raises(error, match=message):
        list(answers(pool, 0, [Attempt(group.default, 0.0)]))
