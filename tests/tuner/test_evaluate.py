"""Launches that another one follows compute values where they are timed: what they write decides what that one does."""

import pytest

pytest.importorskip("triton")
pytest.importorskip("optuna")
from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case
from cold_kernels.specs import load
from tuner.search.evaluate import Evaluator


@pytest.fixture(scope="module")
def machine():
    try:
        return ascend_machine("Ascend910B3")
    except ToolchainMissing as error:
        pytest.skip(str(error))


def test_a_launch_that_follows_is_timed_on_what_the_one_before_wrote(machine):
    spec = load("contrastive_argmax")
    case = Case.parse("B=3 V=4000", spec)
    config = spec.default_for(case.shape())
    evaluator = Evaluator(spec, machine)
    timed = evaluator.timed(config, case)
    whole = list(evaluator._launches(config, case.tensors(spec), True))
    assert len(timed.parts) == len(whole) == 2
    assert [part.cycles for part in timed.parts] == [part.cycles for part in whole]


def test_timing_leaves_the_case_alone(machine):
    spec = load("contrastive_argmax")
    case = Case.parse("B=3 V=4000", spec)
    evaluator, config = Evaluator(spec, machine), spec.default_for(case.shape())
    first = evaluator.timed(config, case).microseconds
    before = {name: evaluator._args(case)[name].clone() for name in spec.outputs}
    assert evaluator.timed(config, case).microseconds == first
    assert all((evaluator._args(case)[name] == kept).all() for name, kept in before.items())
