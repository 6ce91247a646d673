"""A wall-clock benchmark from timing to verdict, with functions that say how long they take."""

import json
from types import SimpleNamespace

import pytest

from bench.timing import race, side_by_side, wall_clock
from bench.timing.race import Race
from bench.timing.wall_clock import Measured

NAME = "test_it.py::test_it"


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `Work` moves on."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(side_by_side, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


@pytest.fixture
def shown():
    return SimpleNamespace(extra_info={}, pedantic=lambda *_, **__: None)


class Work:
    def __init__(self, clock, *seconds):
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def __call__(self):
        self.clock.seconds += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1


def accepted(folder, ratio, device=wall_clock.CPU):
    ratios = tuple(ratio * (1 + place / 1000) for place in range(10))
    wall_clock.merge(device, {NAME: Measured(ratio, {"loop": 1.0}, "loop", ratios, ratio)}, folder)


def run(clock, shown, folder, *seconds, **how):
    """Ours, and the folder of results."""
    ours, loop = Work(clock, *seconds), Work(clock, 1.0)
    Race(NAME, shown, folder / "results", folder)(ours, {"loop": loop}, rounds=10, calls=1, **how)
    return ours, folder / "results"


def test_what_was_never_accepted_is_timed_and_kept(clock, shown, tmp_path):
    ours, results = run(clock, shown, tmp_path, 3.0)
    assert wall_clock.read(wall_clock.CPU, results)[NAME] == Measured(3.0, {"loop": 1.0}, "loop", (3.0,) * 10, 3.0)
    assert shown.extra_info == dict(ratio=3.0, against="loop", microseconds=3e6, loop_microseconds=1e6)
    assert ours.calls == 10


def test_slower_than_accepted_fails(clock, shown, tmp_path):
    accepted(tmp_path, 2.0)
    with pytest.raises(pytest.fail.Exception) as failure:
        run(clock, shown, tmp_path, 3.0)
    first, second = str(failure.value).splitlines()
    assert first.startswith(f"{NAME}: slower than accepted, beside loop on {wall_clock.CPU}: 1.49 times, +99")
    assert second == f"If that is meant: {race.ACCEPT}"


def test_another_reference_fails_and_can_be_accepted(clock, shown, tmp_path):
    results = tmp_path / "results"
    race = Race(NAME, shown, results, tmp_path)
    accepted(tmp_path, 2.0)
    with pytest.raises(pytest.fail.Exception, match="accepted beside loop, timed beside other"):
        race(Work(clock, 3.0), {"other": Work(clock, 1.0)}, rounds=10, calls=1)
    wall_clock.accept("another reference", results, tmp_path, tmp_path)
    race(Work(clock, 3.0), {"other": Work(clock, 1.0)}, rounds=10, calls=1)


def test_a_disturbance_is_timed_again(clock, shown, tmp_path):
    accepted(tmp_path, 2.0)
    ours, results = run(clock, shown, tmp_path, *[3.0] * (10 + 20), 2.0)
    assert ours.calls == 10 + 20 + 40
    assert wall_clock.read(wall_clock.CPU, results)[NAME].seconds == 2.0


def test_devices_are_compared_with_themselves(clock, shown, tmp_path):
    accepted(tmp_path, 2.0)
    _, results = run(clock, shown, tmp_path, 9.0, device="other")
    assert wall_clock.devices(results) == ["other"]


def test_times_are_accepted_from_the_last_run(tmp_path):
    results, baseline = tmp_path / "results", tmp_path / "baseline"
    places = dict(results=results, accepted=baseline / "wall_clock", history=baseline)
    assert wall_clock.accept("none yet", **places) == {}
    assert not baseline.exists()
    accepted(results, 2.0)
    accepted(results, 3.0, "Ascend910B3")
    assert wall_clock.accept("first", **places) == {"Ascend910B3": 1, wall_clock.CPU: 1}
    assert wall_clock.read(wall_clock.CPU, baseline / "wall_clock") == wall_clock.read(wall_clock.CPU, results)
    entry = json.loads((baseline / "history.jsonl").read_text())
    assert (entry["reason"], entry["wall_clock"]) == ("first", {"Ascend910B3": 1, wall_clock.CPU: 1})


def test_benchmarks_that_did_not_run_keep_their_times(tmp_path):
    accepted(tmp_path, 2.0)
    other = Measured(1.0, {"loop": 1.0}, "loop", (1.0,) * 6, 1.0)
    wall_clock.merge(wall_clock.CPU, {"another": other}, tmp_path)
    assert wall_clock.read(wall_clock.CPU, tmp_path).keys() == {NAME, "another"}
