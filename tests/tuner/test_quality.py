"""How searches are compared, and that the search is as good as the page says."""

import itertools
import json
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from cold_kernels.command import CommandFailed
from cold_kernels.record import Record
from tuner.__main__ import main
from tuner.replay.loading import load_space
from tuner.replay.quality import ENOUGH, WITHIN, goals, in_lines, quality
from tuner.replay.replayed import budget, replay
from tuner.replay.rivals import kernel_tuner_runs
from tuner.replay.rivals.chance import chance
from tuner.replay.rivals.kernel_tuner_runs import STRATEGIES, kernel_tuner, python_with_it
from tuner.replay.rivals.optuna_alone import optuna_alone
from tuner.replay.space import Recorded, RecordedSpace
from tuner.search.trial import Outcome

optuna.logging.set_verbosity(optuna.logging.WARNING)
FOLDER = Path(__file__).with_name("spaces")
SPACES = sorted(FOLDER.glob("*.json.gz"))
KEPT = FOLDER / "quality.json"


def space_of(values):
    recorded = {Record(X=x): Recorded(Outcome("simulated", {"c": value})) for x, value in enumerate(values)}
    about = {"chip": "a chip", "evidence": "simulated", "unit": "microseconds"}
    return RecordedSpace("line", about, {"X": tuple(range(len(values)))}, Record(X=0), recorded, len(values))


@pytest.mark.parametrize("path", SPACES, ids=[path.name for path in SPACES])
def test_the_search_finds_what_is_there(path):
    """Ten seeds of the hundred that the page is about."""
    space = load_space(path)
    found = [replay(space, "model", seed, budget(space)).best for seed in range(10)]
    share = sum(value <= space.optimum * (1 + WITHIN) for value in found) / len(found)
    assert share >= ENOUGH and share >= chance(space, budget(space), WITHIN)


def test_the_page_is_of_these_recordings_and_of_this_search():
    kept = json.loads(KEPT.read_text())
    assert [space["file"] for space in kept["spaces"]] == [path.name for path in SPACES]
    assert kept["kernel_tuner"] and kept["seeds"] == 100 and kept["sampler"] == "model"
    assert kept["goals"] == goals(kept["spaces"])
    for each, path in zip(kept["spaces"], SPACES, strict=True):
        space = load_space(path)
        assert (each["legal"], each["near"], each["evaluations"]) == (space.legal, space.near(WITHIN), budget(space))
        for seed in (0, 99):
            assert replay(space, kept["sampler"], seed, budget(space)).best == each["ours"]["found"][seed]


def test_chance_is_that_of_all_draws():
    values = [5, 7, 1, 9, 1.01, 8]
    space = space_of(values)
    draws = list(itertools.combinations(values, 2))
    assert chance(space, 2, WITHIN) == pytest.approx(sum(min(draw) <= 1.02 for draw in draws) / len(draws))
    assert chance(space, 6, WITHIN) == 1


def test_optuna_alone_finds_the_optimum_of_a_line():
    space = space_of([abs(x - 30) + 1 for x in range(60)])
    assert optuna_alone(space, 0, 40) <= 2
    assert optuna_alone(space, 0, 1) == 31  # the default alone


def test_optuna_alone_rejects_what_is_illegal():
    every = space_of([100 - x for x in range(50)])
    legal = {config: each for config, each in every.recorded.items() if config.X % 2 == 0}
    space = RecordedSpace("line", every.about, every.values, Record(X=0), legal, len(legal))
    assert optuna_alone(space, 1, 25) >= 52  # X = 48 is the last legal one


def space_row(share, others, own=0.01, legal=300):
    return {"name": f"s{share}", "legal": legal, "ours": {"share": share, "own": own}, "others": others}


@pytest.mark.parametrize(
    "row, missed",
    (
        (space_row(0.9, {"random": 0.5, "other": 0.92}), [False, False, False, False]),
        (space_row(0.79, {"random": 0.5}), [True, False, False, False]),
        (space_row(0.9, {"random": 0.91}), [False, True, False, False]),
        (space_row(0.9, {"random": 0.5, "other": 0.93}), [False, False, True, False]),
        (space_row(0.9, {"random": 0.5}, own=0.11), [False, False, False, True]),
        (space_row(0.1, {"random": 0.5}, legal=199), [False, False, False, False]),
        (space_row(0.9, {"random": 0.5}, own=None), [False, False, False, False]),
    ),
)
def test_goals(row, missed):
    assert [bool(goal["missed"]) for goal in goals([row])] == missed


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(kernel_tuner_runs, "python_with_it", lambda: None)
    assert main(["quality", str(SPACES[0]), "--seeds", "3", "--jobs", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("Kernel Tuner is not compared: python -m pip install kernel_tuner, or name a Python")
    found = json.loads(said.out)
    (space,) = found["spaces"]
    assert set(space["others"]) == {"random", "Optuna alone"} and len(space["ours"]["found"]) == 3
    assert 0 < space["ours"]["own"] < 0.1
    (tmp_path / "kept.json").write_text(said.out)
    assert main(["quality", "--from", str(tmp_path / "kept.json"), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert out.strip() == in_lines(found, markdown=True) and "Kernel Tuner is not installed here" in out


def test_a_goal_that_is_missed_is_an_exit_code(capsys, monkeypatch):
    monkeypatch.setattr(kernel_tuner_runs, "python_with_it", lambda: None)
    monkeypatch.setattr("tuner.replay.quality.ENOUGH", 1.01)
    assert main(["quality", str(SPACES[0]), "--seeds", "1", "--jobs", "1"]) == 1
    assert f"seeds find it: missed on {load_space(SPACES[0]).name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, complaint",
    (
        (["--seeds", "0"], "--seeds 0: must be 1 or more"),
        (["--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["--sampler", "best"], "--sampler best: there is none of that name"),
        (["--from", __file__], "is not what quality --json prints"),
        (["--from", str(KEPT), "--seeds", "3"], "--from shows what was found before"),
        ([__file__], "is no recorded space"),
    ),
)
def test_bad_input_is_one_line(capsys, monkeypatch, arguments, complaint):
    monkeypatch.setattr(kernel_tuner_runs, "python_with_it", lambda: "python")
    assert main(["quality", *arguments]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1


def test_a_kernel_tuner_that_does_not_run(tmp_path):
    space = load_space(SPACES[0])
    with pytest.raises(CommandFailed, match="cannot be run by /nowhere/python: No such file"):
        kernel_tuner("/nowhere/python", space, STRATEGIES, [0], 48)
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'a line' >&2\necho 'ModuleNotFoundError: none' >&2\nexit 1\n")
    bare.chmod(0o755)
    with pytest.raises(CommandFailed, match=f"run by {bare}, fails: ModuleNotFoundError: none"):
        kernel_tuner(str(bare), space, STRATEGIES, [0], 48)
    bare.write_text("#!/bin/sh\necho '[\"simulated_annealing\", 0, 1.5]'\n")
    with pytest.raises(CommandFailed, match="not for 1 seeds each"):
        kernel_tuner(str(bare), space, STRATEGIES, [0], 48)


def test_kernel_tuner_by_its_own_package(monkeypatch):
    python = python_with_it()
    if python is None:
        pytest.skip("kernel_tuner is not installed here")
    space = load_space(FOLDER / "softmax_rows.json.gz")
    once, again = (kernel_tuner(python, space, STRATEGIES, [0, 1, 2], 20) for _ in range(2))
    assert once == again and set(once) == set(STRATEGIES)
    assert all(math.isfinite(value) and value >= space.optimum for values in once.values() for value in values)
    assert len({tuple(values) for values in once.values()}) > 1


def test_which_python_has_it(monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_KERNEL_TUNER", "/a/python")
    assert python_with_it() == "/a/python"
    monkeypatch.delenv("COLD_KERNELS_KERNEL_TUNER")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert python_with_it() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert python_with_it() == sys.executable


def test_processes_and_threads_find_the_same():
    with ThreadPoolExecutor(2) as executor:
        found = quality([SPACES[0]], "random", 12, None, executor)
    space = load_space(SPACES[0])
    (row,) = found["spaces"]
    assert row["ours"]["found"] == [replay(space, "random", seed, budget(space)).best for seed in range(12)]
