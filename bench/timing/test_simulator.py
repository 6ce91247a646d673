"""The simulator's own speed: a launch of `bgmv_shrink` with 64 rows in its default configuration, compiled before."""

import functools
import time

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from cold_kernels.ascend import simulate
from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.ascend.errors import ToolchainMissing
from cold_kernels.ascend.machine import ascend_machine
from cold_kernels.cases import Case, errors
from cold_kernels.devices import interpreting
from cold_kernels.specs import load

from .yardstick import python_loop

CASE = "T=64 L=4 H=4096 R=16"
MOST = {"values and hazards": 1.0, "time alone": 0.2}
"""Seconds of the processor that a launch may take: the fewest of a few, as what others do here can only add to them."""

pytestmark = pytest.mark.skipif(interpreting(), reason="TRITON_INTERPRET=1: nothing is compiled")


@functools.cache
def launch():
    """The spec, its tensors, and the function that simulates a launch of it."""
    spec = load("bgmv_shrink")
    try:
        machine = ascend_machine(DEFAULT_CHIP)
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    args = Case.parse(CASE, spec).tensors(spec)
    (call,) = spec.calls(args, spec.default, "ascend", machine.chip.vector_cores)
    signature, constants, arguments = call.specialized()
    program = machine.compile(call.kernel, signature, constants, call.options)
    return spec, args, functools.partial(simulate, program, list(arguments.values()), call.grid)


@pytest.mark.parametrize("what", MOST)
def test_launch(race, what):
    spec, args, simulated = launch()
    run = (
        functools.partial(simulated, hazards=True)
        if what != "time alone"
        else functools.partial(simulated, values=False)
    )
    found = run()
    assert not found.hazards
    simulated()
    assert max(errors(spec, args).values()) <= 1
    race(run, {"Python loop": python_loop}, rounds=10)
    assert min(processor_seconds(run) for _ in range(5)) <= MOST[what]


def processor_seconds(function):
    start = time.process_time()
    function()
    return time.process_time() - start
