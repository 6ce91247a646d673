"""How a search went, as files: of a journal that `fake_machine` filled."""

import base64
import json
import re
import shutil

import optuna
import pytest

from tuner.__main__ import main
from tuner.report.comparison import compare
from tuner.report.studies import searches

from .fake_machine import fake_machine

pytest.importorskip("matplotlib")
SPEC = "tests/tuner/tiny_spec.py:tiny_add"
CHIP = "Ascend910B3"


@pytest.fixture
def tuned(monkeypatch, tmp_path):
    """Searches by seed; each gives its journal."""
    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", fake_machine)

    def search(seed=0, *more, code=0):
        folder = tmp_path / f"seed{seed}"
        command = ["autotune", SPEC, "--seed", str(seed), "--jobs", "1", "--output", str(folder), *more]
        assert main(command) == code
        return str(folder / CHIP / "tiny_add.journal")

    return search


def test_a_search_is_read_as_it_went(tuned):
    (search,) = searches(tuned(0, "--shape", "N=20000"))
    assert (search.kernel, search.chip, search.running) == ("tiny_add", CHIP, 0)
    assert search.default.config == {"TILE": 256, "AUTO": True}
    assert search.best.value == min(trial.value for trial in search.usable) < search.default.value
    assert [trial.number for trial in search.trials] == list(range(len(search.trials)))
    failures = {trial.failure.partition(":")[0] for trial in search.trials if trial.failure}
    assert failures == {"does not compile", "does not fit"}


def test_one_page_with_everything_in_it(tuned, tmp_path, capsys):
    html, png, t4 = (tmp_path / f"out.{ending}" for ending in ("html", "png", "json"))
    words = ["--html", str(html), "--png", str(png), "--t4", str(t4), "--spec", SPEC, "--no-timelines"]
    assert main(["report", tuned(), *words]) == 0
    said = capsys.readouterr().out
    assert all(f"wrote {path}: tiny_add" in said for path in (html, png, t4))
    page = html.read_text()
    titles = re.findall("<h2>(.*?)</h2>", page)
    assert titles[1:] == [
        "Best against default and floor", "Convergence", "Importance of the tunables", "Slices", "Regret across cases",
        "Why trials failed", "All trials",
    ]  # fmt: skip
    images = re.findall('src="data:image/png;base64,(.*?)"', page)
    assert len(images) == 5 and all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "no such luck" in page and "SIMULATED" in page
    assert png.read_bytes().startswith(b"\x89PNG")


def test_trials_in_t4(tuned, tmp_path):
    out = tmp_path / "out.json"
    journal = tuned()
    assert main(["report", journal, "--t4", str(out)]) == 0
    (search,) = searches(journal)
    results = json.loads(out.read_text())["results"]
    assert [result["configuration"] for result in results] == [dict(trial.config) for trial in search.trials]
    assert {result["invalidity"] for result in results} == {"correct", "compile"}
    for result, trial in zip(results, search.trials, strict=True):
        assert (result["measurements"][0]["value"] == trial.value) if trial.us else not result["measurements"]
        assert result["correctness"] == (trial.rung == "simulated")


def test_a_search_in_which_nothing_works(tuned, tmp_path):
    journal = tuned(0, "--shape", "N=64", code=1)  # every tile that is allowed is broken
    out = tmp_path / "out.html"
    assert main(["report", journal, "--html", str(out)]) == 0
    assert "does not work" in out.read_text() and "Convergence" not in out.read_text()


def test_two_searches_beside_each_other(tuned, capsys):
    mine, other = tuned(0), tuned(1)
    (pair,) = compare(searches(mine), searches(other))
    assert pair["a"]["seed"] == "0" and pair["b"]["seed"] == "1" and pair["differ"] == 0 and pair["both"] > 0
    assert pair["ratio"] == pytest.approx(pair["b"]["us"] / pair["a"]["us"])
    capsys.readouterr()
    assert main(["compare", mine, other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [pair]
    assert main(["compare", mine, other]) == 0
    assert f"ratio {pair['ratio']:.3f}" in capsys.readouterr().out


def test_what_two_machines_tried_is_one_search(tuned, tmp_path, capsys):
    whole = tuned()
    part, rest = tmp_path / "part.journal", tmp_path / "rest.journal"
    for path, keep in ((part, lambda place: place < 9), (rest, lambda place: place >= 6)):
        source = optuna.load_study(study_name=searches(whole)[0].name, storage=_journal(whole))
        study = optuna.create_study(study_name=source.study_name, storage=_journal(path))
        for key, value in source.user_attrs.items():
            study.set_user_attr(key, value)
        study.add_trials([trial for trial in source.trials if keep(trial.user_attrs["place"])])
    out = tmp_path / "merged.journal"
    assert main(["merge", str(part), str(rest), "--out", str(out)]) == 0
    (merged,), (search,) = searches(str(out)), searches(whole)
    assert f"1 searches, {len(search.trials)} trials" in capsys.readouterr().out
    assert [(t.config, t.us, t.failure) for t in merged.trials] == [(t.config, t.us, t.failure) for t in search.trials]
    assert main(["merge", str(part), "--out", str(out)]) == 2
    assert "merged.journal exists; name a new file" in capsys.readouterr().err


def test_autotune_goes_on_with_a_merged_journal(tuned, tmp_path, monkeypatch):
    journal = tuned()
    out = tmp_path / "other" / CHIP / "tiny_add.journal"
    out.parent.mkdir(parents=True)
    assert main(["merge", journal, "--out", str(out)]) == 0
    assert main(["autotune", SPEC, "--jobs", "1", "--output", str(tmp_path / "other")]) == 0
    (again,), (before,) = searches(str(out)), searches(journal)
    assert len(again.trials) == len(before.trials)
    shutil.rmtree(tmp_path / "other")


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["nowhere.journal", "--html", "a.html"], "there is no journal nowhere.journal"),
        (["setup.py.journal", "--html", "a.txt"], "--html a.txt: the name must end in .html"),
        (["--html", "a.html"], "name what to report on"),
        (["sqlite:///nowhere/at/all.db", "--t4", "a.json"], "cannot read sqlite:///nowhere/at/all.db"),
    ],
)
def test_bad_input_is_one_line(words, complaint, capsys):
    assert main(["report", *words]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1


def test_a_study_of_somebody_else(tmp_path, capsys):
    path = tmp_path / "other.journal"
    optuna.create_study(study_name="mine", storage=_journal(path))
    assert main(["report", str(path), "--html", str(tmp_path / "a.html")]) == 2
    assert "study 'mine' is none of autotune's" in capsys.readouterr().err


def _journal(path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))
