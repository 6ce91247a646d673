"""Micro-benchmarks: how much of a constant each holds, and that together they tell the constants apart."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
pytest.importorskip("optuna")
from cold_kernels.ascend.chips import CONSTANTS, DEFAULT_CHIP
from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.ascend.machine import ascend_machine
from tuner.calibration.fit import Problem, Seen
from tuner.calibration.jobs import MICRO
from tuner.calibration.micro import micros
from tuner.search.evaluate import Evaluator, Timed

from .test_calibrate import HARD_TO_SEE

MORE = 1.01


@pytest.fixture(scope="module")
def machine():
    try:
        return ascend_machine(DEFAULT_CHIP)
    except ToolchainMissing as error:
        pytest.skip(str(error))


def timed(machine, micro) -> Timed:
    return Evaluator(micro.spec, machine).timed(micro.config, micro.case)


@pytest.mark.parametrize(
    "name, sizes, constant, count",
    [
        ("queue", "P=1 busy=0", "launch_us", 1),
        ("queue", "P=1 busy=0", "program_us", 1),
        ("queue", "P=400 busy=0", "dispatch_us", 400),
        ("start", "P=40", "dispatch_us", 40),
        ("queue", "P=40 times=100 busy=40", "program_us", 1),
        ("queue", "P=400 times=300 busy=400", "program_us", 10),
        ("queue", "P=65 times=600 busy=39 late=64", "program_us", 1 + 25),
        ("queue", "P=90 times=600 busy=39", "program_us", 1),  # what the others do is not seen
        ("load", "P=1 E=128 times=1", "load_first", 1),
        ("load", "P=40 E=128 times=1", "load_first", 1 / 40),  # the other cores have loaded it
        ("rows_scale", "E=8", "short_row", 100 * 64),
        ("rows_scale", "E=64", "short_row", 0),
        ("divide", "times=2000", "scalar_divide", 2000),
        ("chase", "N=64 times=2000", "scalar_global", 2000),
        ("chase", "N=64 times=2000", "scalar_miss", 4),
        ("chase", "N=16384 times=500", "scalar_miss", 500),
        ("chase", "N=16384 times=500", "scalar_first", 1),
        ("touch", "P=1", "scalar_first", 8),
        ("store_many", "times=200", "store_issue", 8 * 200),
        ("issue", "times=400", "scalar_issue", 8 * 400),
    ],
)
def test_what_each_holds_of_a_constant(machine, name, sizes, constant, count):
    named = [one for one in micros() if one.spec.name == f"micro.{name}"]
    asked = [one for one in named if set(sizes.split()) <= set(str(one.case).split())]
    micro = min(asked, key=lambda one: len(str(one.case)))  # the one with nothing else said
    chip, seen = machine.chip, timed(machine, micro)
    more = replace(chip, constants=chip.constants | {constant: MORE * chip.constants[constant]})
    cycles = chip.frequency * 1e-6 if CONSTANTS[constant].unit == "cycle" else 1.0
    found = (seen.on(more) - seen.on(chip)) * cycles / ((MORE - 1) * chip.constants[constant])
    assert found == pytest.approx(count, rel=0.02, abs=0.01)


@pytest.mark.long
def test_they_tell_the_constants_apart(machine):
    """On the nominal chip, where each time is off by what the fit takes as the least."""
    seen = [
        Seen(MICRO, str(micro.case), at, at.on(machine.chip), 0.0)
        for micro in micros()
        for at in [timed(machine, micro)]
    ]
    problem = Problem(seen, machine.chip)
    slopes = problem.slopes(problem.start, np.zeros(len(seen)), np.ones(len(problem.names), bool))
    curvature = slopes.T @ slopes / problem.scale**2 + np.diag(1 / problem.width**2)
    errors = dict(zip(problem.names, np.sqrt(np.diag(np.linalg.inv(curvature))), strict=True))
    assert max(error for name, error in errors.items() if name not in HARD_TO_SEE) < 0.06, errors
