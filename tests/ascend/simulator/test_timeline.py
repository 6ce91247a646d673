import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from cold_kernels.ascend.chips import chip_named
from cold_kernels.ascend.simulator import Deadlock
from cold_kernels.ascend.simulator.timing.costs import Costs
from cold_kernels.ascend.simulator.timing.timeline import Observer, schedule
from cold_kernels.ascend.simulator.trace.events import (
    ALL,
    Barrier,
    FlagId,
    Issue,
    ScalarAccess,
    ScalarWork,
    SetFlag,
    WaitFlag,
)
from cold_kernels.ascend.simulator.trace.work import LOAD, SCALAR, STORE, VECTOR, work

CHIP = chip_named("Ascend910B3")
FIGURES = CHIP.constants
RATE = FIGURES["load_rate"]
FIRST_LATENCY = FIGURES["load_latency"] + FIGURES["load_first"]
LONG = work(LOAD, (("load_issue", 1),), round(RATE * 1000))  # 1000 cycles
VECTORS = work(VECTOR, (("vector_issue", 1), ("repeat_unary", 500)))
BACK = work(STORE, (("store_issue", 1),), 66 * 100)


def issue(job):
    return Issue(job)


def signal(source, waiting, event=0):
    return SetFlag(FlagId(source, waiting, event))


def wait(source, waiting, event=0):
    return WaitFlag(FlagId(source, waiting, event))


class Issued(Observer):
    """Keeps ``(pipe, start, end)`` of every operation."""

    def __init__(self):
        self.seen = []

    def issued(self, event, cost, begun, ready, start, end, now):
        self.seen.append((event.work.pipe, start, end))


def run(*trace, rate=1e9):
    observer = Issued()
    return schedule(trace, Costs(CHIP, rate), observer), observer.seen


def test_an_empty_program():
    timeline, _ = run()
    assert timeline.cycles == 0 and not any(timeline.busy.values())


def test_pipes_run_beside_each_other():
    timeline, seen = run(issue(LONG), issue(VECTORS))
    (_, _, loaded), (_, start, _) = seen
    assert start < loaded
    assert timeline.cycles == pytest.approx(loaded + FIRST_LATENCY)
    assert timeline.busy[LOAD] == pytest.approx(1000) and timeline.busy[VECTOR] == pytest.approx(500)


def test_only_the_first_copy_of_cold_data_waits_longer():
    _, seen = run(issue(LONG), issue(LONG), signal(LOAD, VECTOR), wait(LOAD, VECTOR), issue(VECTORS))
    apart = seen[2][1] - seen[1][2] - FIGURES["flag"]
    assert apart == pytest.approx(max(FIGURES["load_latency"], FIRST_LATENCY - (seen[1][2] - seen[0][2])))
    warm = Costs(CHIP, 1e9, hits=1.0)
    assert schedule([issue(LONG)], warm).cycles < schedule([issue(LONG)], Costs(CHIP, 1e9)).cycles


def test_one_pipe_is_in_order():
    _, seen = run(issue(LONG), issue(LONG))
    assert seen[1][1] == pytest.approx(seen[0][2])


def test_a_flag_orders_two_pipes():
    _, seen = run(issue(LONG), signal(LOAD, VECTOR), wait(LOAD, VECTOR), issue(VECTORS), issue(LONG))
    load, vector, again = seen
    assert vector[1] == pytest.approx(load[2] + FIRST_LATENCY + FIGURES["flag"])
    assert again[1] < vector[1]


def test_a_wait_of_the_scalar_unit_stalls_every_later_issue():
    _, seen = run(issue(LONG), signal(LOAD, SCALAR), wait(LOAD, SCALAR), issue(VECTORS))
    assert seen[1][1] >= seen[0][2] + FIGURES["load_latency"] + FIGURES["flag"]


def test_a_flag_of_the_scalar_unit_is_up_at_once():
    _, seen = run(issue(LONG), signal(SCALAR, VECTOR), wait(SCALAR, VECTOR), issue(VECTORS))
    assert seen[1][1] < seen[0][2]


def test_flags_are_told_apart():
    _, seen = run(
        issue(VECTORS), signal(VECTOR, STORE, 1), issue(LONG), signal(LOAD, STORE, 0), wait(VECTOR, STORE, 1),
        issue(BACK), wait(LOAD, STORE, 0),
    )  # fmt: skip
    vector, load, back = seen
    assert vector[2] < back[1] < load[2]


def test_a_barrier_waits_for_one_pipe_to_drain():
    (_, first), (_, plain) = (run(issue(VECTORS), issue(LONG), *barrier, issue(VECTORS)) for barrier in
                              ([Barrier(VECTOR)], []))  # fmt: skip
    assert plain[2][1] == pytest.approx(plain[0][2])
    assert first[2][1] == pytest.approx(first[0][2] + FIGURES["vector_drain"])


def test_a_barrier_of_all_pipes():
    _, seen = run(issue(LONG), Barrier(ALL), issue(VECTORS))
    assert seen[1][1] >= seen[0][2] + FIGURES["load_latency"]
    run(Barrier(SCALAR))


def test_scalar_work_delays_what_follows():
    _, seen = run(ScalarWork(1000), issue(VECTORS))
    assert seen[0][1] >= 1000 * FIGURES["scalar"]
    near, far = (run(ScalarAccess(local))[0].cycles for local in (True, False))
    assert (near, far) == (FIGURES["scalar_local"], FIGURES["scalar_global"])


def test_work_that_drains_and_work_that_blocks():
    drains = work(VECTOR, (("vector_issue", 1),), drains=True)
    _, seen = run(issue(VECTORS), issue(drains))
    assert seen[1][1] >= seen[0][2] + FIGURES["vector_drain"]
    blocks = work(VECTOR, (("scalar_local", 100),), blocks=True)
    _, seen = run(issue(blocks), issue(LONG))
    assert seen[1][1] >= seen[0][2] + FIGURES["vector_drain"]


def test_shared_bandwidth_slows_copies_and_nothing_else():
    free, _ = run(issue(LONG), issue(VECTORS))
    shared, _ = run(issue(LONG), issue(VECTORS), rate=RATE / 10)
    assert shared.busy[LOAD] == pytest.approx(10 * free.busy[LOAD])
    assert shared.busy[VECTOR] == free.busy[VECTOR]


def test_loads_and_stores_share_a_cores_part_of_global_memory():
    back = work(STORE, (("store_issue", 1),), round(RATE * 1000))
    alone, _ = run(issue(LONG), rate=10)
    both, _ = run(issue(LONG), issue(back), rate=10)
    assert both.cycles >= 2 * 1000 * RATE / 10 > alone.cycles


def test_a_flag_does_not_overtake_the_wait_before_it():
    _, seen = run(
        issue(VECTORS), signal(VECTOR, LOAD), wait(VECTOR, LOAD), signal(LOAD, STORE), wait(LOAD, STORE), issue(BACK)
    )
    (_, _, computed), (_, stored, _) = seen
    assert stored >= computed + FIGURES["vector_drain"] + 2 * FIGURES["flag"]


def test_a_barrier_of_all_pipes_waits_for_waits():
    trace = [issue(VECTORS), signal(VECTOR, LOAD), wait(VECTOR, LOAD), Barrier(ALL), issue(BACK)]
    _, seen = run(*trace)
    assert seen[1][1] >= seen[0][2] + FIGURES["vector_drain"] + FIGURES["flag"]


def test_what_the_scalar_unit_does_for_a_pipe_is_its_own_time():
    fallback = work(VECTOR, (("scalar_local", 100), ("repeat_unary", 10)), blocks=True)
    timeline, _ = run(issue(fallback))
    assert timeline.busy[SCALAR] == pytest.approx(100 * FIGURES["scalar_local"] + FIGURES["scalar_issue"])
    assert timeline.busy[VECTOR] == pytest.approx(10 * FIGURES["repeat_unary"])


@pytest.mark.parametrize(
    "trace, complaint",
    [
        ([wait(LOAD, VECTOR, 3)], "V waits for event 3 of MTE2, which nothing has set"),
        ([signal(LOAD, VECTOR, 1), wait(LOAD, VECTOR, 2)], "event 2 of MTE2"),
        ([signal(LOAD, VECTOR), wait(LOAD, STORE)], "MTE3 waits"),
        ([signal(LOAD, VECTOR), wait(LOAD, VECTOR), wait(LOAD, VECTOR)], "which nothing has set"),
        ([signal(LOAD, VECTOR), signal(LOAD, VECTOR)], "set twice with no wait between"),
        ([signal(LOAD, VECTOR, 5)], "nothing waits for event 5 of MTE2 for V"),
    ],
    ids=["never-set", "another-event", "another-pipe", "cleared", "twice", "left-over"],
)
def test_flags_that_do_not_pair(trace, complaint):
    with pytest.raises(Deadlock, match=complaint):
        run(*trace)
