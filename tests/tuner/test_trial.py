import dataclasses

import pytest

from cold_kernels.cases import Case
from cold_kernels.record import Record
from tuner.search.evaluate import Evaluator
from tuner.search.group import groups
from tuner.search.trial import attempt

from .fake_machine import BROKEN_TILE, WRONG_TILE, fake_machine
from .tiny_spec import tiny_add


@pytest.fixture
def evaluator():
    return Evaluator(tiny_add, fake_machine("Ascend910B3"))


@pytest.fixture
def group():
    (found,) = groups(tiny_add, [Case.parse(text, tiny_add) for text in tiny_add.targets])
    return found


def config(tile, auto=True):
    return Record(TILE=tile, AUTO=auto)


def test_a_right_configuration_reaches_the_last_rung(group, evaluator):
    outcome = attempt(group, evaluator, config(1024), None)
    assert outcome.rung == "simulated"
    assert list(outcome.us) == [str(case) for case in group.cases]
    assert outcome.value == pytest.approx((outcome.us[str(group.cases[0])] * outcome.us[str(group.cases[1])]) ** 0.5)
    assert [text.split()[0] for text in outcome.checked] == ["N=8192", "N=777"]


def test_a_configuration_with_a_hazard_is_not_used(group):
    machine = fake_machine("Ascend910B3")

    def racing(*launch):
        return dataclasses.replace(machine.simulate(*launch), hazards=("race: two at once",))

    outcome = attempt(group, Evaluator(tiny_add, dataclasses.replace(machine, simulate=racing)), config(1024), None)
    assert outcome.rung == "compiles" and outcome.failure.startswith("is wrong: a hazard on N=8192")
    assert outcome.failure.endswith(": race: two at once")


def test_overflow_is_kept_as_bits(group, evaluator):
    outcome = attempt(group, evaluator, config(16384), None)
    assert (outcome.rung, outcome.us) == ("legal", {})
    assert outcome.excess_bits == 16384 * 4 * 8 * 3 * 2 - 192 * 1024 * 8
    assert "192.0 KiB are there" in outcome.failure


def test_a_compiler_failure_is_kept_with_its_diagnosis(group, evaluator):
    outcome = attempt(group, evaluator, config(BROKEN_TILE), None)
    assert (outcome.rung, outcome.excess_bits) == ("legal", None)
    assert "no such luck" in outcome.failure


def test_wrong_values_are_kept_with_the_case(group, evaluator):
    outcome = attempt(group, evaluator, config(WRONG_TILE), None)
    assert outcome.rung == "compiles"
    assert outcome.failure.startswith("is wrong: z is inf times the allowed error off float64 on N=8192")


def test_a_slow_configuration_is_timed_and_not_checked(group, evaluator):
    outcome = attempt(group, evaluator, config(WRONG_TILE), 1.0)
    assert (outcome.rung, outcome.failure, outcome.checked) == ("compiles", "", ())
    assert outcome.us


def test_the_default_is_checked_however_slow(group, evaluator):
    assert attempt(group, evaluator, group.default, 1.0).rung == "simulated"


def test_a_program_is_compiled_once(group, evaluator):
    compiled = []
    machine = evaluator.machine
    counting = dataclasses.replace(machine, compile=lambda *args: compiled.append(args) or machine.compile(*args))
    attempt(group, Evaluator(group.spec, counting), config(1024), None)
    assert len(compiled) == 1


def test_hard_cases_take_the_dtype_of_the_group():
    from cold_kernels.bgmv.shrink import bgmv_shrink

    (group,) = groups(bgmv_shrink, [Case.parse("T=8 dtype=bf16", bgmv_shrink)])
    assert {case.dtype for case in group.hard} == {"bf16"}
    assert group.smallest == group.cases[0]
