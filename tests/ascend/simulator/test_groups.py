"""Programs that run on a cube core and its two vector cores: how these wait for each other, and what goes wrong."""

import dataclasses
import re

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import CompileOptions, UnsupportedProgram, compile_kernel, find_hazards, simulate
from cold_kernels.ascend.simulator import Deadlock
from cold_kernels.ascend.simulator.core.binding import detached
from cold_kernels.ascend.simulator.core.counters import MOST, Counters
from cold_kernels.ascend.simulator.mutation.verdict import SURVIVED, verdicts
from cold_kernels.ascend.simulator.trace.events import Turn
from tests.ascend.simulator.kernels import build, state_of_products
from tests.gallery import linear_attention, matmul

FP16 = torch.float16


def launched(example, number=0):
    torch.manual_seed(0)
    launch = example.launches[number]
    return build(launch.kernel, launch.args, **launch.constants), launch.args, launch.grid


@pytest.fixture(scope="module")
def epilogue():
    return launched(matmul.with_epilogue(40, 48, 64, FP16, matmul.tiles(32, 32, 32)))


@pytest.fixture(scope="module")
def chunks():
    return launched(linear_attention.example(1, 100, 32, FP16, True))


def edited(program, pattern, text="", count=0):
    """The program with lines of its module that match ``pattern`` replaced; at least one does."""
    hivm, times = re.subn(rf"(?m)^.*{pattern}.*$", text, program.hivm, count=count)
    assert times
    return dataclasses.replace(program, hivm=hivm)


def kinds(program, args, grid):
    return {hazard.kind for hazard in find_hazards(program, args, grid)}


def test_the_cores_take_turns_by_what_they_wait_for(epilogue):
    program, args, grid = epilogue
    assert program.core_type == "MIX"
    first, again = (simulate(program, detached(args), grid) for _ in range(2))
    (trace, *_), (same, *_) = first.execution.traces, again.execution.traces
    assert trace == same and first.cycles == again.cycles
    assert [event.core for event in trace if isinstance(event, Turn)] == [0, 1, 2]


def test_each_vector_core_has_half_of_the_rows(epilogue):
    program, args, grid = epilogue
    whole = [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args]
    simulate(program, whole, grid)
    half = [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args]
    idle = edited(program, '"hivm.hir.store"')
    simulate(idle, half, grid)
    assert half[3].isnan().all() and not whole[3].isnan().any()


def test_the_workspace_is_as_large_as_the_module_says(epilogue):
    program, args, grid = epilogue
    number = '"arith.constant"() <{value = 4096 : index}> : () -> index'
    assert number in program.hivm
    computed = program.hivm.replace(number, '"some.size"() : () -> index', 1)
    with pytest.raises(UnsupportedProgram, match="a workspace whose size is computed"):
        simulate(dataclasses.replace(program, hivm=computed), args, grid)


def test_a_set_that_is_missing(epilogue):
    program, args, grid = epilogue
    with pytest.raises(Deadlock, match=r"vector core 0 at hivm.hir.sync_block_wait at .*matmul.py:\d+ for flag 0"):
        simulate(edited(program, '"hivm.hir.sync_block_set"'), args, grid)


def test_a_wait_that_is_missing(epilogue):
    program, args, grid = epilogue
    assert kinds(program, args, grid) == set()
    found = find_hazards(edited(program, '"hivm.hir.sync_block_wait"'), args, grid)
    assert {hazard.kind for hazard in found} == {"race", "flag"}
    assert any("bytes of the workspace" in hazard.message for hazard in found)
    assert any("a counter is left at 1" in hazard.message for hazard in found)


def test_a_flag_that_is_set_before_its_data_is_there(epilogue):
    program, args, grid = epilogue
    core = "tcore_type = #hivm.tcore_type<CUBE>, tpipe = #hivm.pipe<PIPE_%s>"
    early = program.hivm.replace(core % "FIX", core % "MTE2")
    assert early != program.hivm
    assert kinds(dataclasses.replace(program, hivm=early), args, grid) == {"race"}


def test_another_flag(chunks):
    program, args, grid = chunks
    wrong = re.sub(r"(sync_block_wait.*static_flag_id = )0", r"\g<1>9", program.hivm, count=1)
    with pytest.raises(Deadlock, match="for flag 9"):
        simulate(dataclasses.replace(program, hivm=wrong), args, grid)


def test_a_counter_that_runs_over():
    counters = Counters(2)
    for _ in range(MOST):
        counters.set(1, 3)
    assert counters.value(0, 3) == 0
    for _ in range(MOST + 1):
        counters.set(2, 3)
    assert counters.value(0, 3) == MOST and counters.left() == [(0, 3, MOST)]
    assert counters.take(0, 3) == 0 and counters.value(0, 3) == MOST - 1


def test_a_flag_set_again_and_again(epilogue):
    program, args, grid = epilogue
    (line,) = re.findall(r'(?m)^.*"hivm.hir.sync_block_set".*$', program.hivm)
    often = program.hivm.replace(line, "\n".join([line] * (MOST + 1)))
    found = find_hazards(dataclasses.replace(program, hivm=often), args, grid)
    assert any(f"more than {MOST} times with no wait between" in hazard.message for hazard in found)


def test_a_barrier_of_all_cores_is_refused(epilogue):
    program, args, grid = epilogue
    mode = "tsync_instr_mode = #hivm.sync_instr<INTER_BLOCK_SYNCHRONIZATION>"
    other = re.sub(r'("hivm.hir.sync_block_set".*)tpipe = ', rf"\1{mode}, tpipe = ", program.hivm)
    with pytest.raises(UnsupportedProgram, match="the mode INTER_BLOCK_SYNCHRONIZATION in a mixed program"):
        simulate(dataclasses.replace(program, hivm=other), args, grid)


@pytest.mark.parametrize("name", ["epilogue", "chunks"])
def test_wrong_mutants_are_found(name, request):
    program, args, grid = request.getfixturevalue(name)
    judged = list(verdicts(program, args, grid, orders=4, most=30))
    assert not [verdict for verdict in judged if verdict.verdict == SURVIVED]
    assert {"set", "wait", "counter", "workspace"} & {verdict.mutant.what for verdict in judged}


def test_time_goes_from_core_to_core(epilogue):
    program, args, grid = epilogue
    run = simulate(program, args, grid)
    assert {"cube M", "vector 0 V", "vector 1 MTE3"} <= set(run.pipes) and run.bound in run.pipes
    slow = dataclasses.replace(run.chip, cube=run.chip.cube | {"counter": 5000.0})
    assert run.on(slow).cycles > run.cycles + 4000
    faster = dataclasses.replace(run.chip, cube=run.chip.cube | {"fix_rate": 10_000.0, "multiply_block": 0.01})
    assert run.on(faster).cycles < run.cycles


def test_unit_flags_in_place_of_flags(epilogue):
    plain, args, grid = epilogue
    options = CompileOptions(unit_flag=True)
    program = compile_kernel(
        matmul.matmul_bias_relu, plain.signature, plain.constants, chip=plain.chip, options=options
    )
    assert "unit_flag" in program.hivm and "unit_flag" not in plain.hivm
    both = []
    for one in (plain, program):
        own = detached(args)
        assert simulate(one, own, grid, hazards=True).hazards == ()
        both.append(own[3])
    assert torch.equal(*both)
    flags = "[#hivm.unit_flag<DISABLED>, #hivm.unit_flag<%s>]"
    alone = program.hivm.replace(flags % "ENABLED_WITH_UPDATE", flags % "DISABLED")
    assert alone != program.hivm
    found = find_hazards(dataclasses.replace(program, hivm=alone), args, grid)
    assert any("waits for the unit flag of byte 0 of M for FIX" in hazard.message for hazard in found)


def test_what_both_vector_cores_write_alike_is_no_race(epilogue):
    program, args, grid = epilogue
    half = re.compile(r'"hivm.hir.get_sub_block_idx"\(\) : \(\) -> i64')
    assert half.search(program.hivm)
    both = half.sub('"arith.constant"() <{value = 0 : i64}> : () -> i64', program.hivm)  # each does the first half
    alike = dataclasses.replace(program, hivm=both)
    assert kinds(alike, args, grid) == set()
    different = re.sub(  # the second core adds something to what it stores
        r'"hivm.hir.vmax"\((%\w+), (%\w+), (%\w+)\)',
        r'"hivm.hir.vadd"(\1, %shift, \3)',
        both,
    )
    shift = """
    %sub = "hivm.hir.get_sub_block_idx"() : () -> i64
    %shift = "arith.sitofp"(%sub) : (i64) -> f32
"""
    place = different.index('"hivm.hir.vadd"', different.index("<AIC>"))
    start = different.rindex("\n", 0, different.rindex('"hivm.hir.sync_block_wait"', 0, place)) + 1
    mixed = dataclasses.replace(program, hivm=different[:start] + shift + different[start:])
    assert mixed.hivm != both
    assert "race" in kinds(mixed, args, grid)


def test_a_state_that_the_compiler_loses_is_refused():
    args = [torch.randn(64, 32).half(), torch.randn(64, 32).half(), torch.zeros(64, 32), 64]
    with pytest.raises(UnsupportedProgram, match=r"memref.alloc at .*kernels.py:\d+: a buffer .* given no address"):
        simulate(build(state_of_products, args, N=32), args, (1,))
