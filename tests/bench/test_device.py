"""Measuring a device: what is measured, that a crash loses nothing, and what is refused."""

import json
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton")
from bench.__main__ import main
from cold_kernels.devices import interpreting
from cold_kernels.specs import KERNELS, load
from tuner.calibration import npu, results
from tuner.calibration.jobs import BEST, MICRO, RANDOM, SHIPPED, Job, all_jobs, ranked, spec_named
from tuner.calibration.measure import DeviceLost, measure, measured
from tuner.calibration.micro import SPECS, micros

JOBS = [Job(MICRO, *micro) for micro in micros()]
FIRST_JOBS = JOBS[:6]
CHIP = "Ascend910B3"


class Pretender:
    """A device that computes nothing and takes as long as it is told."""

    name, chip, evidence, cores, versions, backend = "pretender", CHIP, "stand-in", 40, {"fake": "1"}, "ascend"

    def __init__(self, wrong=(), fatal=(), broken=()):
        self.wrong, self.fatal, self.broken = set(wrong), set(fatal), set(broken)
        self.timed = []
        self.works = True

    def place(self, args):
        return dict(args)

    def run(self, calls):
        pass

    def time(self, calls):
        number = len(self.timed)
        self.timed.append(calls)
        if number in self.fatal:
            raise SystemExit("the process is gone")
        if number in self.broken:
            self.works = False
            raise RuntimeError("aicore exception")
        return [10.0, 11.0, 12.0, 13.0]

    def alive(self):
        return self.works


@pytest.fixture
def right(monkeypatch):
    monkeypatch.setattr("tuner.calibration.measure.wrong", lambda job, device: "")


def go(path, device, jobs=FIRST_JOBS, seconds=1e9, **how):
    said = []
    left = measure(jobs, device, results.begun(path, device), seconds, said.append, **how)
    return left, said


def test_micro_benchmarks_are_what_the_device_needs():
    assert len({job.key for job in JOBS}) == len(JOBS)
    assert {micro.spec for micro in micros()} == set(SPECS.values())
    assert spec_named("micro.copy") is SPECS["micro.copy"]
    with pytest.raises(ValueError, match="unknown kernel 'micro.cpy'; the kernels are bgmv_shrink"):
        spec_named("micro.cpy")


def test_micro_benchmarks_come_first_then_shipped_and_others_in_turn():
    jobs = all_jobs(CHIP)
    kinds = [job.kind for job in jobs]
    assert kinds[: len(JOBS)] == [MICRO] * len(JOBS)
    assert {SHIPPED, BEST, RANDOM} == set(kinds[len(JOBS) :])
    assert len({job.key for job in jobs}) == len(jobs)
    assert {job.spec.name for job in jobs[len(JOBS) : len(JOBS) + 2 * len(KERNELS)]} == set(KERNELS)
    assert [job.key for job in all_jobs(CHIP)] == [job.key for job in jobs]
    assert [job.key for job in all_jobs(CHIP, seed=1)] != [job.key for job in jobs]


def test_best_and_random_configurations_come_from_studies(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    from tests.tuner.fake_machine import fake_machine
    from tuner.__main__ import main as tune

    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", fake_machine)
    spec_file = "tests/tuner/tiny_spec.py:tiny_add"
    assert tune(["autotune", spec_file, "--trials", "14", "--output", str(tmp_path)]) == 0
    jobs = list(ranked(load(spec_file), CHIP, tmp_path, 0))
    assert [job.kind for job in jobs] == [BEST] * 5 + [RANDOM] * (len(jobs) - 5)
    assert len(jobs) > 5 and len({job.config for job in jobs}) == len(jobs)
    assert {str(job.case) for job in jobs} == {"N=8192 dtype=fp32 index=int64"}
    assert [job.kind for job in ranked(load(spec_file), "Ascend910B1", tmp_path, 0)].count(RANDOM) == 12


def test_every_measurement_is_on_disk_at_once(tmp_path, right):
    path, device = tmp_path / "d.json", Pretender()
    counts = []
    device.time = lambda calls: counts.append(len(results.read(path).rows)) or [1.0, 2.0, 3.0]
    assert go(path, device)[0] == 0
    assert counts == [1, 2, 3, 4, 5, 6]
    row = json.loads(path.read_text())["rows"][0]
    assert row == {
        "kind": "micro",
        "kernel": "micro.start",
        "case": "P=1 E=8 dtype=fp32 index=int64",
        "config": {},
        "us": 2.0,
        "spread": 0.5,
        "samples": 3,
    }


def test_after_a_crash_it_goes_on_and_a_job_that_crashes_twice_is_left_alone(tmp_path, right):
    path = tmp_path / "d.json"
    with pytest.raises(SystemExit):
        go(path, Pretender(fatal=[2]))
    assert [row.get("us", "running") for row in results.read(path).rows.values()] == [11.5, 11.5, "running"]
    again = Pretender(fatal=[0])
    with pytest.raises(SystemExit):
        go(path, again)
    last = Pretender()
    assert go(path, last)[0] == 0
    assert len(last.timed) == 3
    rows = list(results.read(path).rows.values())
    assert [row.get("us") for row in rows] == [11.5, 11.5, None, 11.5, 11.5, 11.5]
    assert rows[2]["running"] == 2


def test_what_is_called_off_is_measured_next_time(tmp_path, right):
    path, device = tmp_path / "d.json", Pretender()
    device.time = lambda calls: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        go(path, device)
    assert not results.read(path).rows
    assert go(path, Pretender())[0] == 0


def test_it_ends_with_the_time(tmp_path, right):
    ticks = iter(range(100))
    left, said = go(tmp_path / "d.json", Pretender(), seconds=3, clock=lambda: next(ticks))
    assert left == 4 and len(said) == 2
    left, said = go(tmp_path / "d.json", Pretender())
    assert left == 0 and said[0].startswith("3/6 ")


def test_a_device_that_is_gone_ends_it(tmp_path, right):
    path = tmp_path / "d.json"
    with pytest.raises(DeviceLost, match="does not answer any more after micro.start P=10"):
        go(path, Pretender(broken=[1]))
    rows = list(results.read(path).rows.values())
    assert rows[1]["failure"] == "RuntimeError: aicore exception"


def test_wrong_values_are_not_timed():
    device = Pretender()
    outcome = measured(FIRST_JOBS[0], device)
    assert outcome == {"failure": "y is inf times the allowed error off float64"}
    assert not device.timed


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "cannot read"),
        ("[]", "format 'list', not 1"),
        ('{"format": 7}', "format 7, not 1"),
        ('{"format": 1, "device": "x"}', "lacks chip, cores"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, said):
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        results.read(path)


def test_bad_rows_are_refused(tmp_path, right):
    path = tmp_path / "d.json"
    go(path, Pretender(), FIRST_JOBS[:1])
    data = json.loads(path.read_text())
    for change, said in (
        ({"us": -1}, "row 0: us = -1 is no time"),
        ({"us": float("nan")}, "row 0: us = nan is no time"),
        ({"spread": "big"}, "row 0: spread = 'big' is no time"),
        ({"config": []}, "config \\[\\] is no object"),
    ):
        path.write_text(json.dumps({**data, "rows": [{**data["rows"][0], **change}]}))
        with pytest.raises(ValueError, match=said):
            results.read(path)


def test_results_of_another_device_are_not_gone_on_with(tmp_path, right):
    path = tmp_path / "d.json"
    go(path, Pretender(), FIRST_JOBS[:1])
    other = Pretender()
    other.name = "other"
    with pytest.raises(ValueError, match="results of device 'pretender', and this is 'other'; give another --out"):
        results.begun(path, other)


@pytest.mark.skipif(torch.cuda.is_available(), reason="not without a device")
def test_without_an_npu_it_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(npu, "missing", lambda: "torch_npu does not import")
    assert main(["device"]) == 2
    assert capsys.readouterr().err == "device: there is nothing to measure: torch_npu does not import\n"
    assert main(["device", "--minutes", "0"]) == 2
    assert "--minutes 0 must be above 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_times_on_an_npu_are_between_events_after_a_flush(monkeypatch):
    told = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            told.append("event")

        def elapsed_time(self, other):
            return 0.025

    class Call:
        def run(self):
            told.append("launch")

    class Buffer:
        def copy_(self, other):
            told.append("flush")

    fake = SimpleNamespace(Event=Event, synchronize=lambda: told.append("wait"))
    monkeypatch.setattr(torch, "npu", fake, raising=False)
    device = npu.Npu.__new__(npu.Npu)
    device._from = device._to = Buffer()
    device._nothing = 5.0
    assert device.time([Call(), Call()]) == [20.0] * npu.SAMPLES
    warm = ["launch", "launch", "wait"] * npu.WARM_UP
    assert told == warm + ["flush", "event", "launch", "launch", "event", "wait"] * npu.SAMPLES


@pytest.mark.skipif(interpreting(), reason="says so first")
def test_what_is_missing_here():
    pytest.importorskip("triton.backends.ascend")
    try:
        import torch_npu  # noqa: F401
    except ImportError:
        assert npu.missing().startswith("torch_npu does not import")
