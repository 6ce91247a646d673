"""A barrier of all cores: values, time, and what is wrong where the grid does not fill them; printing."""

import dataclasses

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import find_hazards, simulate
from cold_kernels.ascend.simulator import Deadlock
from tests.ascend.simulator.kernels import build
from tests.gallery import cores

SIZE = 64


def launch(programs=40):
    args = [torch.randn(programs, SIZE), torch.zeros(programs, SIZE)]
    return build(cores.neighbours_result, args, N=SIZE), args, (programs,)


def without(program, name):
    lines = [line for line in program.hivm.splitlines() if f'"hivm.hir.{name}' not in line]
    return dataclasses.replace(program, hivm="\n".join(lines))


def test_programs_see_what_the_others_wrote_before_it():
    program, args, grid = launch()
    before = args[0].clone()
    run = simulate(program, args, grid, hazards=True)
    assert torch.equal(args[1], 2 * before) and run.hazards == ()
    assert torch.equal(args[0], 2 * before[torch.arange(40) ^ 1])
    assert run.cycles > simulate(without(program, "sync_block"), args, grid).cycles


def test_without_it_they_race():
    program, args, grid = launch()
    assert {hazard.kind for hazard in find_hazards(without(program, "sync_block"), args, grid)} == {"programs"}
    # Arriving before its copies are complete is as bad.
    early = without(without(program, "pipe_barrier"), "nothing").hivm.replace(
        "tpipe = #hivm.pipe<PIPE_MTE3>, tsync", "tpipe = #hivm.pipe<PIPE_V>, tsync"
    )
    found = find_hazards(dataclasses.replace(program, hivm=early), args, grid)
    assert "programs" in {hazard.kind for hazard in found}


@pytest.mark.parametrize("programs", [12, 80])
def test_a_grid_that_does_not_fill_the_cores(programs):
    program, args, grid = launch(programs)
    words = rf"sync_block_wait at .*cores.py:\d+ waits for all 40 vector cores of Ascend910B3, and {programs} programs"
    (hazard,) = [hazard for hazard in find_hazards(program, args, grid) if hazard.kind == "barrier"]
    with pytest.raises(Deadlock, match=words):
        simulate(program, args, grid)
    assert f"and {programs} programs do not fill them" in hazard.message


def test_one_that_not_all_come_to():
    program, args, grid = launch()
    with pytest.raises(Deadlock, match="a barrier of all cores .flag 0. that not all come to"):
        simulate(without(program, "sync_block_set"), args, grid)


def test_printing(capsys):
    x = torch.arange(4.0)
    simulate(build(cores.printing, [x], N=4), [x], (1,))
    assert capsys.readouterr().out == "program 0: x: [0.0, 1.0, 2.0, 3.0]\n"
