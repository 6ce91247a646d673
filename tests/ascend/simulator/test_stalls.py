"""Every cycle of every pipe is accounted for, and put down to the right cause."""

import dataclasses
import random

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.simulator.profile.critical import STEPS, critical_path
from cold_kernels.ascend.simulator.profile.profile import alike, profile
from cold_kernels.ascend.simulator.profile.recording import Recording
from cold_kernels.ascend.simulator.profile.stalls import CAUSES
from cold_kernels.ascend.simulator.timing.cores import timed
from cold_kernels.ascend.simulator.timing.costs import Costs
from cold_kernels.ascend.simulator.timing.timeline import schedule
from cold_kernels.ascend.simulator.trace.events import (
    ALL,
    Barrier,
    FlagId,
    Issue,
    Lock,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    Unlock,
    WaitFlag,
)
from cold_kernels.ascend.simulator.trace.execution import Execution
from cold_kernels.ascend.simulator.trace.work import LOAD, PIPES, SCALAR, STORE, VECTOR, work

CHIP = chip_named("Ascend910B3")
FIGURES = CHIP.constants


class Place:
    """Stands for an operation of a program."""

    def __init__(self, name, line):
        self.name, self.location = name, f"kernel.py:{line}"


def issue(job, line=1):
    return Issue(job, Place("hivm.hir.some", line))


LONG = work(LOAD, (("load_issue", 1),), 46_000)
VECTORS = work(VECTOR, (("vector_issue", 1), ("repeat_unary", 500)))
JOBS = [
    LONG,
    VECTORS,
    work(VECTOR, (("vector_issue", 3), ("repeat_gather", 7)), drains=True),
    work(VECTOR, (("scalar_local", 30),), blocks=True),
    work(VECTOR, (("flag", 4), ("scalar_local", 16), ("vector_issue", 3)), drains=True),
    work(LOAD, (("scalar_local", 5), ("scalar_global", 5), ("flag", 4)), 40, blocks=True),
    work(STORE, (("store_issue", 1), ("burst", 8)), 5000),
    work(STORE, (("flag", 2), ("store_issue", 2)), 100),
]


def recorded(*trace, rate=1e9, turns=None):
    recording = Recording()
    timeline = schedule(trace, Costs(CHIP, rate), recording, turns)
    return timeline, recording


def causes(recording, pipe):
    return {(stall.cause.kind, stall.cause.line) for stall in recording.stalls if stall.pipe == pipe}


def random_trace(seed):
    draw = random.Random(seed)
    trace, up = [], []
    for line in range(draw.randrange(1, 120)):
        what = draw.random()
        place = Place("some", line)
        if what < 0.45:
            trace.append(Issue(draw.choice(JOBS), place))
        elif what < 0.6:
            flag = FlagId(*draw.sample(PIPES, 2), draw.randrange(3))
            if flag not in up:
                up.append(flag)
                trace.append(SetFlag(flag, place))
        elif what < 0.75 and up:
            trace.append(WaitFlag(up.pop(draw.randrange(len(up))), place))
        elif what < 0.85:
            trace.append(Barrier(draw.choice([*PIPES, ALL]), place))
        elif what < 0.95:
            trace.append(ScalarWork(9, ((place, 4), (Place("other", line + 1), 5))))
        elif what < 0.98:
            trace.append(ScalarAccess(draw.random() < 0.5, 2, place))
        else:
            trace.append(draw.choice([Lock, Unlock])(64, place))
    return tuple(trace + [WaitFlag(flag, Place("some", 999)) for flag in up])


def check_partition(recording, cycles):
    for pipe in PIPES:
        spans = [(part.start, part.end) for part in recording.slices if part.pipe == pipe]
        spans += [(stall.start, stall.end) for stall in recording.stalls if stall.pipe == pipe and not stall.within]
        at = 0.0
        for start, end in sorted(spans):
            assert start == pytest.approx(at) and end >= start
            at = max(at, end)
        assert at == pytest.approx(recording.ends[pipe]) and at <= cycles * (1 + 1e-12)


def check_path(recording):
    """Steps follow each other from the end to the start, and each was the last thing that the next one waited for."""
    at = recording.total
    for step in critical_path(recording):
        assert step.end == pytest.approx(at) and step.start <= step.end and step.kind in STEPS and step.pipe in PIPES
        at = step.start
    assert at == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_random_traces_are_accounted_for(seed):
    trace, other = random_trace(seed), random_trace(seed + 1000)
    for rate in (1e9, 3.0):
        timeline, recording = recorded(*trace, rate=rate, turns={64: 500.0})
        check_partition(recording, timeline.cycles)
        check_path(recording)
        for flag in recording.flags:
            assert flag.issued <= flag.set < flag.up <= flag.passed
    execution = Execution((trace, other), tuple(seed * k % 7 % 2 for k in range(90)), (100, 4000), 5000, 900, 700, 64)
    check_profile(timed(execution, CHIP))


def check_profile(simulation):
    found = profile(simulation)
    assert found.cycles == pytest.approx(simulation.cycles)
    assert sum(found.critical.values()) == pytest.approx(simulation.cycles, rel=1e-9)
    for pipe in PIPES:
        stalled = sum(found.stalled[pipe].values())
        assert found.busy[pipe] + stalled + found.idle[pipe] == pytest.approx(simulation.cycles, rel=1e-9)
        assert found.idle[pipe] >= -1e-6
        assert {cause.kind for cause in found.stalled[pipe]} <= set(CAUSES)
        waits = sum(spent for cause, spent in found.stalled[pipe].items() if cause.kind == "memory")
        if pipe == SCALAR:  # what it does for another pipe while it issues further counts once here, twice there
            assert found.busy[pipe] <= simulation.pipes[pipe] * (1 + 1e-9)
        else:
            assert found.busy[pipe] + waits == pytest.approx(simulation.pipes[pipe], rel=1e-9)
    return found


def test_a_flag_is_named_with_the_lines_of_set_and_wait():
    flag = FlagId(LOAD, VECTOR, 2)
    _, recording = recorded(
        issue(LONG), SetFlag(flag, Place("set", 7)), WaitFlag(flag, Place("wait", 8)), issue(VECTORS, 9)
    )
    (stall,) = [stall for stall in recording.stalls if stall.pipe == VECTOR and stall.cause.kind == "flag"]
    assert (stall.cause.line, stall.cause.set_line) == ("kernel.py:8", "kernel.py:7")
    assert str(stall.cause) == "flag MTE2 -> V event 2"
    (passed,) = recording.flags
    assert (stall.end, passed.up, passed.passed) == pytest.approx((passed.up, stall.end, stall.end))


def test_a_pipe_behind_a_scalar_unit_that_waits_has_its_cause():
    trace = [issue(VECTORS, 1), issue(LONG, 2), Barrier(ALL, Place("barrier", 3)), issue(VECTORS, 4)]
    _, recording = recorded(*trace)
    assert ("barrier", "kernel.py:3") in causes(recording, VECTOR)
    _, recording = recorded(
        issue(LONG, 1), issue(work(LOAD, (("scalar_local", 50),), blocks=True), 2), issue(VECTORS, 3)
    )
    assert ("blocking", "kernel.py:2") in causes(recording, VECTOR)
    assert ("fallback", "kernel.py:2") in causes(recording, LOAD)


def test_a_pipe_behind_a_busy_scalar_unit():
    _, recording = recorded(ScalarWork(1000, ((Place("scalar", 5), 1000),)), issue(VECTORS, 6))
    assert causes(recording, VECTOR) == {("issue", "kernel.py:6"), ("completion", "kernel.py:6")}


def test_bandwidth_barriers_draining_and_completion():
    _, recording = recorded(issue(LONG, 1), rate=10)
    assert causes(recording, LOAD) == {
        ("issue", "kernel.py:1"),
        ("memory", "kernel.py:1"),
        ("completion", "kernel.py:1"),
    }
    _, recording = recorded(issue(VECTORS, 1), Barrier(VECTOR, Place("barrier", 2)), issue(VECTORS, 3))
    assert ("barrier", "kernel.py:2") in causes(recording, VECTOR)
    _, recording = recorded(issue(VECTORS, 1), issue(JOBS[2], 2), issue(LONG, 3))
    assert ("draining", "kernel.py:2") in causes(recording, SCALAR) & causes(recording, LOAD)


def test_programs_of_one_core_wait_for_each_other_and_equal_cores_are_found():
    trace = (issue(VECTORS, 1), *[issue(LONG, 2)] * 8)
    simulation = timed(Execution((trace, ()), (0,) * 41 + (1,) * 3, (64000, 0), 0, 0, 0, 0), CHIP)
    found = check_profile(simulation)
    assert len(found.programs) == 2 and found.core == 0
    apart = CHIP.constants["dispatch_us"] * 1e-6 * CHIP.frequency
    assert found.programs[1][0] > found.programs[0][1].total + apart  # which it is dispatched to when it is free
    assert sum(spent for cause, spent in found.stalled[VECTOR].items() if cause.kind == "program") > 0
    assert [len(group) for group in alike(simulation)] == [1, 3, 36]
    with pytest.raises(ValueError, match="core 40: the launch is on cores 0 to 39"):
        profile(simulation, 40)
    assert profile(simulation, 39).cycles < found.cycles


def test_lines_have_what_their_operations_have():
    trace = (issue(VECTORS, 1), issue(LONG, 2), ScalarWork(10, ((Place("a", 3), 4), (Place("b", 4), 6))))
    found = check_profile(timed(Execution((trace,), (0,), (64000,), 64000, 0, 64000, 0), CHIP))
    assert found.lines["kernel.py:1"][VECTOR][0] == pytest.approx(Costs(CHIP, 1e9)(VECTORS).pipe)
    assert found.lines["kernel.py:4"][SCALAR][0] == pytest.approx(6 * FIGURES["scalar"])
    assert sum(by_pipe[LOAD][0] for by_pipe in found.lines.values()) == pytest.approx(found.busy[LOAD])


@pytest.mark.parametrize(("constant", "pipe"), [("load_latency", LOAD), ("store_latency", STORE)])
def test_the_time_grows_by_what_is_on_the_critical_path(constant, pipe):
    """A latency that is a little longer costs that much each time that it is on the path, and nothing elsewhere."""
    little = 1e-4
    chip = dataclasses.replace(CHIP, constants={**FIGURES, constant: FIGURES[constant] + little})
    for seed in range(200):
        trace = tuple(event for event in random_trace(seed) if not isinstance(event, Lock | Unlock))
        timeline, recording = recorded(*trace)
        uses = sum((step.kind, step.pipe) == ("latency", pipe) for step in critical_path(recording))
        assert (schedule(trace, Costs(chip, 1e9)).cycles - timeline.cycles) / little == pytest.approx(uses, abs=1e-3)


def test_the_critical_path_goes_through_a_flag_to_the_pipe_that_sets_it():
    flag = FlagId(LOAD, VECTOR, 0)
    _, recording = recorded(
        issue(VECTORS, 1), issue(LONG, 2), SetFlag(flag, Place("set", 3)), WaitFlag(flag, Place("wait", 4)),
        issue(VECTORS, 5),
    )  # fmt: skip
    assert [(step.kind, step.pipe, step.line) for step in critical_path(recording)] == [
        ("latency", VECTOR, "kernel.py:5"),
        ("work", VECTOR, "kernel.py:5"),
        ("flag", LOAD, "kernel.py:3"),
        ("latency", LOAD, "kernel.py:2"),
        ("work", LOAD, "kernel.py:2"),
        ("work", SCALAR, "kernel.py:2"),
        ("work", SCALAR, "kernel.py:1"),
    ]


def test_the_critical_path_goes_through_the_scalar_unit_to_what_it_waits_for():
    _, recording = recorded(issue(VECTORS, 1), issue(JOBS[2], 2), issue(LONG, 3))
    lines = [(step.kind, step.pipe, step.line) for step in critical_path(recording)]
    assert lines[:2] == [("latency", LOAD, "kernel.py:3"), ("work", LOAD, "kernel.py:3")]
    assert ("work", VECTOR, "kernel.py:1") in lines and ("work", VECTOR, "kernel.py:2") not in lines


def test_cores_that_wait_for_locks_are_alike_where_their_waits_are():
    locked = (issue(VECTORS, 1), Lock(64, Place("lock", 2)), issue(LONG, 3), Unlock(64, Place("unlock", 4)))
    simulation = timed(Execution((locked, ()), (0, 0, 1, 1, 0), (46_000, 0), 0, 0, 0, 0), CHIP)
    found = check_profile(simulation)
    assert found.core == 4 and alike(simulation) == [[4], [0], [1], [2, 3]]
    assert any(cause.kind == "lock" for cause in found.stalled[SCALAR])
    assert ("others", SCALAR, "kernel.py:2") in found.critical
