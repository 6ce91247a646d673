"""Searches on recorded spaces: the shipped recordings, files of other tuners, and files that are none."""

import gzip
import json
from pathlib import Path

import optuna
import pytest

from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.specs import load
from tuner.__main__ import main
from tuner.replay.loading import load_space
from tuner.replay.replayed import budget, replay
from tuner.replay.rivals.kernel_tuner_runs import cache_of
from tuner.replay.showing import stale
from tuner.replay.space import space_of, write_space
from tuner.report.studies import Search, Tried
from tuner.report.t4 import t4
from tuner.search.group import groups
from tuner.search.sampler import SAMPLERS
from tuner.search.study import Study

from .fake_machine import fake_machine

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACES = sorted(Path(__file__).with_name("spaces").glob("*.json.gz"))
SOFTMAX = Path(__file__).with_name("spaces") / "softmax_rows.json.gz"


@pytest.fixture(scope="module")
def softmax():
    return load_space(SOFTMAX)


@pytest.mark.parametrize("path", SPACES, ids=[path.name for path in SPACES])
def test_a_shipped_recording_is_complete_and_small(path):
    space = load_space(path).checked()
    assert space.legal >= 200 and path.stat().st_size < 40_000
    assert space.about["evidence"] == "simulated" and space.about["chip"] == "Ascend910B3"
    for recorded in space.recorded.values():
        assert recorded.outcome.failure or recorded.outcome.checked  # each that can be used was compared with float64
        assert sum(recorded.seconds.values()) > 0


def test_what_is_written_is_read(softmax, tmp_path):
    write_space(tmp_path / "a", softmax)
    again = load_space(tmp_path / "a")
    assert again.recorded == softmax.recorded and again.values == softmax.values and again.about == softmax.about
    write_space(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("sampler", ("model", "tpe", "nsga2", "random"))
def test_a_replay_is_the_search(softmax, sampler):
    """A study of the kernel, told what the recording has, proposes what the replay tries."""
    spec = load(f"{Path(__file__).with_name('tutorial_specs.py')}:softmax")
    (group,) = groups(spec, [Case.parse(text, spec) for text in softmax.about["cases"]])
    study = Study(group, fake_machine("Ascend910B3"), optuna.storages.InMemoryStorage(), 7, sampler)
    while len(study.decided) < 40:
        for proposal in study.batch(40 - len(study.decided)):
            study.start(proposal)
            study.tell(proposal, softmax.recorded[proposal.config].outcome)
    assert [config for config, _ in study.decided] == list(replay(softmax, sampler, 7, 40).tried)


def test_steps_say_what_was_found_when(softmax):
    found = replay(softmax, "model", 0, budget(softmax))
    steps = found.steps()
    assert steps[0][:2] == (1, softmax.default) and len(found.tried) == 48
    assert [value for _, _, value, _ in steps] == sorted({value for _, _, value, _ in steps}, reverse=True)
    for count, config, value, spent in steps:
        assert found.tried[count - 1] == config and softmax.usable[config] == value
        assert spent == pytest.approx(sum(map(softmax.seconds, found.tried[:count])))
    assert found.best == steps[-1][2]


def test_the_command(capsys):
    assert main(["replay", str(SOFTMAX), "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("SIMULATED on Ascend910B3, as recorded; values in microseconds\nsoftmax_rows: 48 of 288 ")
    assert "1 evaluations, " in out and "% of what it takes with a compiler" in out
    assert main(["replay", str(SOFTMAX), "--seed", "3", "--json", "--trials", "20", "--sampler", "random"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["tried"]) == 20 and found["sampler"] == "random" and found["legal"] == 288
    assert found["steps"][-1]["value"] == min(step["value"] for step in found["steps"])


def test_more_trials_than_there_are(softmax):
    assert set(replay(softmax, "random", 0, 10_000).tried) == set(softmax.recorded)


@pytest.mark.parametrize(
    "arguments, complaint",
    (
        (["--trials", "0"], "--trials 0: must be 1 or more"),
        (["--sampler", "best"], f"--sampler best: there is none of that name; use {', '.join(SAMPLERS)}"),
    ),
)
def test_bad_input_is_one_line(capsys, arguments, complaint):
    assert main(["replay", str(SOFTMAX), *arguments]) == 2
    assert capsys.readouterr().err == f"replay: {complaint}\n"


@pytest.mark.parametrize(
    "content, complaint",
    (
        (b"", "Expecting value"),
        (b"\x1f\x8b\x08 cut", " is no recorded space ("),
        (b"[1, 2]", "it is no JSON object"),
        (b'{"format": 1}', "it has neither configurations, a cache nor results"),
        (b'{"format": 9, "configurations": []}', "format 9 is none that this version reads; record it again"),
        (b'{"format": 1, "configurations": []}', "it has no 'values'"),
        (b'{"cache": {"1": {"x": 1, "time": -1}}, "tune_params_keys": ["x"]}', "a time is -1000.0, which must be"),
        (b'{"cache": {"1": {"x": 1}}, "tune_params_keys": ["x"]}', "it has no 'time'"),
        (b'{"results": []}', "it has no results"),
        (b'{"results": [{"configuration": {"x": 1}, "invalidity": "odd", "times": {}}]}', "it has no 'odd'"),
    ),
)
def test_a_file_that_is_none(tmp_path, capsys, content, complaint):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert main(["replay", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"replay: {path} is no recorded space") and complaint in error and error.count("\n") == 1


def test_times_that_are_none(softmax, tmp_path):
    write_space(tmp_path / "a", softmax)
    content = json.loads(gzip.decompress((tmp_path / "a").read_bytes()))
    content["configurations"][3]["us"] = ["fast"]
    with pytest.raises(ValueError, match="its times are .*, which must be positive numbers"):
        space_of(content)


def test_nothing_that_can_be_used(softmax, tmp_path):
    content = {"cache": {"1": {"x": 1, "time": "RuntimeFailedConfig"}}, "tune_params_keys": ["x"], "kernel_name": "k"}
    (tmp_path / "a").write_text(json.dumps({**content, "device_name": "GPU"}))
    with pytest.raises(ValueError, match="k: none of the 1 configurations can be used"):
        load_space(tmp_path / "a").checked()


KERNEL_TUNER = {
    "device_name": "a GPU",
    "kernel_name": "convolution",
    "problem_size": [4096, 4096],
    "tune_params_keys": ["block", "tile"],
    "tune_params": {"block": [16, 32, 64], "tile": [1, 2]},
    "objective": "time",
    "cache": {
        "32,2": {"block": 32, "tile": 2, "time": 0.25, "compile_time": 400, "benchmark_time": 9},
        "16,1": {"block": 16, "tile": 1, "time": 0.5, "compile_time": 500, "verification_time": 4},
        "64,1": {"block": 64, "tile": 1, "time": "CompilationFailedConfig", "compile_time": 90},
    },
}


@pytest.mark.parametrize("closed", (True, False))
def test_a_cache_of_kernel_tuner(tmp_path, closed):
    """Also one whose tuner was killed: it closes its braces at the end."""
    text = json.dumps(KERNEL_TUNER)
    (tmp_path / "a").write_text(text if closed else text[:-2] + ",\n")
    space = load_space(tmp_path / "a").checked()
    assert space.values == {"block": (16, 32, 64), "tile": (1, 2)} and space.legal == 3
    fast = Record(block=32, tile=2)
    assert space.usable == pytest.approx({fast: 250.0, Record(block=16, tile=1): 500.0})
    assert space.recorded[fast].outcome.rung == "measured" and space.seconds(fast) == pytest.approx(0.409)
    assert space.recorded[Record(block=64, tile=1)].outcome.failure == "does not compile"
    assert space.about["evidence"] == "measured" and space.about["chip"] == "a GPU" and not stale(space)


def test_t4_results(tmp_path):
    def result(block, invalidity, value=None):
        measured = [{"name": "time", "value": value, "unit": "ms"}] if value else []
        times = {"compilation_time": 200, "runtimes": [1, 2], "validation": 4}
        return {
            "configuration": {"block": block, "way": "a"}, "times": times, "invalidity": invalidity,
            "correctness": 1, "measurements": measured,
        }  # fmt: skip

    results = [result(64, "correct", 2.0), result(16, "correct", 1.5), result(32, "correctness")]
    (tmp_path / "gemm_T4.json.gz").write_bytes(gzip.compress(json.dumps({"results": results}).encode()))
    space = load_space(tmp_path / "gemm_T4.json.gz").checked()
    assert space.name == "gemm_T4" and space.values == {"block": (16, 32, 64), "way": ("a",)}
    assert space.usable == pytest.approx({Record(block=64, way="a"): 2000.0, Record(block=16, way="a"): 1500.0})
    assert space.recorded[Record(block=32, way="a")].outcome.failure == "is wrong"
    assert space.seconds(Record(block=16, way="a")) == pytest.approx(0.207)
    assert space.about["evidence"] == "measured"


def test_t4_of_ours_is_not_called_measured(tmp_path):
    trials = (
        Tried(0, Record(TILE=64), {"N=1": 2.5}, "simulated", "", None, 1.0),
        Tried(1, Record(TILE=32), {}, "legal", "does not fit: too large", None, None),
    )
    found = Search("tiny seed=0 1", "tiny", "Ascend910B3", ("N=1",), trials, 0, None)
    (tmp_path / "tiny.json").write_text(json.dumps(t4([found])))
    space = load_space(tmp_path / "tiny.json").checked()
    assert space.about["evidence"] == "simulated" and space.usable == pytest.approx({Record(TILE=64): 2.5})
    assert space.recorded[Record(TILE=64)].outcome.rung == "simulated"
    assert space.recorded[Record(TILE=32)].outcome.failure == "does not compile"


def test_a_space_as_a_cache_of_kernel_tuner_and_back(softmax, tmp_path):
    (tmp_path / "a").write_text(json.dumps(cache_of(softmax)))
    back = load_space(tmp_path / "a")
    assert back.legal == softmax.legal and back.near(0.02) == softmax.near(0.02)
    assert back.optimum == pytest.approx(1000 * softmax.optimum)  # it calls our microseconds milliseconds
    assert back.values["AUTO"] == (0, 1) and back.values["TILE"] == softmax.values["TILE"]


def test_what_changed_since_is_said(softmax):
    changed = {**softmax.about, "source": "0" * 16}
    there = {**softmax.about, "spec": f"{Path(__file__).with_name('tutorial_specs.py')}:softmax"}
    gone = {**softmax.about, "spec": "nowhere.py:softmax"}

    def said(about):
        from dataclasses import replace

        return stale(replace(softmax, about=about))

    assert said(gone) == "recorded of nowhere.py:softmax, which is not here; replayed as it was recorded"
    assert "the kernel's source" not in said(there)
    assert said({**there, "source": changed["source"]}).startswith("the kernel's source ")
