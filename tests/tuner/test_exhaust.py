"""Whole spaces recorded on a fake machine: all of it, the rest of it, and never another kernel's."""

import gzip
import json
import os
from pathlib import Path

import pytest

from cold_kernels.cases import Case
from cold_kernels.record import Record
from tuner.__main__ import main
from tuner.replay.loading import load_space
from tuner.replay.recording import RecordOne
from tuner.search.group import groups
from tuner.search.trial import Outcome

from .fake_machine import BROKEN_TILE, WRONG_TILE, fake_machine
from .tiny_spec import tiny_add

SPEC = f"{Path(__file__).with_name('tiny_spec.py')}:tiny_add"


@pytest.fixture
def faked(monkeypatch):
    monkeypatch.setattr("cold_kernels.ascend.machine.ascend_machine", fake_machine)
    monkeypatch.setenv("FAKE_SECONDS", "0")


def exhaust(path, *more, jobs=1):
    return main(["exhaust", SPEC, "--shape", "N=40000", "--out", str(path), "--jobs", str(jobs), *more])


@pytest.mark.parametrize("jobs", (1, 2))
def test_every_legal_configuration_has_an_outcome(faked, tmp_path, capsys, jobs):
    assert exhaust(tmp_path / "space.json.gz", jobs=jobs) == 0
    space = load_space(tmp_path / "space.json.gz").checked()
    assert space.legal == 18 and list(space.recorded) == list(space.domain.legal)
    assert dict(space.default) == dict(tiny_add.default)
    by_tile = {tile: space.recorded[Record(TILE=tile, AUTO=True)] for tile in space.values["TILE"]}
    assert by_tile[BROKEN_TILE].value is None
    assert by_tile[BROKEN_TILE].outcome.failure.startswith("does not compile: ")
    assert by_tile[WRONG_TILE].outcome.failure.startswith("is wrong: z is inf times ")
    assert by_tile[16384].outcome.excess_bits == 16384 * 4 * 8 * 3 * 2 - 192 * 1024 * 8
    assert by_tile[4096].outcome.rung == "simulated" and by_tile[4096].outcome.checked
    out = capsys.readouterr().out
    assert "SIMULATED (HIVM level), device time, Ascend910B3; 18 of 18 configurations are legal" in out
    assert "18 take less than a minute with " in out and "13 of 18 configurations can be used; wrote " in out
    assert f"best {space.optimum:.2f} us: " in out


def test_what_constraints_reject_is_counted_by_name(faked, tmp_path):
    assert main(["exhaust", SPEC, "--shape", "N=100", "--out", str(tmp_path / "a"), "--jobs", "1"]) == 0
    space = load_space(tmp_path / "a")
    assert space.about["rejected"] == {"tile_past_size": 14} and space.legal == 4 and space.size == 18


def test_goes_on_where_it_was_stopped(faked, tmp_path, monkeypatch, capsys):
    path, made = tmp_path / "space.json.gz", []
    do = RecordOne.do

    def some(task, *where):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(task.config)
        return do(task, *where)

    monkeypatch.setattr(RecordOne, "do", some)
    assert exhaust(path) == 130
    assert "exhaust: interrupted; the same command goes on" in capsys.readouterr().err
    with pytest.raises(ValueError, match="tiny_add: 5 of 18 configurations are recorded; exhaust records the rest"):
        load_space(path).checked()
    monkeypatch.setattr(RecordOne, "do", do)
    assert exhaust(path) == 0
    assert "5 are recorded, the other 13 take" in capsys.readouterr().out
    again = tmp_path / "undisturbed.json.gz"
    assert exhaust(again) == 0
    outcomes = [[each.outcome for each in load_space(one).recorded.values()] for one in (path, again)]
    assert outcomes[0] == outcomes[1]


def test_a_process_that_dies_costs_its_configuration_alone(faked, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_DEATH", "1024")
    assert exhaust(tmp_path / "a", jobs=2) == 0
    space = load_space(tmp_path / "a").checked()
    dead = space.recorded[Record(TILE=1024, AUTO=True)]
    assert dead.outcome == Outcome("legal", failure="ended the process that tried it, twice: SIGKILL")
    assert space.recorded[Record(TILE=1024, AUTO=False)].value


@pytest.mark.parametrize(
    "change, what",
    (
        (lambda about: about.update(source="0123456789abcdef"), "source"),
        (lambda about: about.update(model="another"), "model"),
        (lambda about: about.update(chip="Ascend910B4"), "chip"),
        (lambda about: about.update(cases=["N=1 dtype=fp32 index=int64"]), "cases"),
        (lambda about: about["versions"].update(fake="2"), "versions"),
    ),
)
def test_a_file_of_something_else_stays(faked, tmp_path, capsys, change, what):
    path = tmp_path / "space.json.gz"
    assert exhaust(path) == 0
    content = json.loads(gzip.decompress(path.read_bytes()))
    change(content["about"])
    before = json.dumps(content)
    path.write_text(before)
    assert exhaust(path) == 2
    expected = f"exhaust: {path} was recorded of another {what}; move it away, or name another file\n"
    assert capsys.readouterr().err == expected and path.read_text() == before


@pytest.mark.parametrize(
    "arguments, complaint",
    (
        (["--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["--chip", "Ascend"], "unknown chip 'Ascend'"),
        (["--shape", "N=0"], "nothing to tune"),
        (["--shape", "N=8 dtype=fp16"], "fp16"),
    ),
)
def test_bad_input_is_one_line(faked, tmp_path, capsys, arguments, complaint):
    assert exhaust(tmp_path / "a", *arguments) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_a_folder_and_shapes_of_two_groups(faked, tmp_path, capsys):
    assert exhaust(tmp_path) == 2
    assert capsys.readouterr().err == f"exhaust: --out {tmp_path} is a folder; name a file in it\n"
    command = ["exhaust", "bgmv_expand", "--shape", "T=1 H=64 R=8", "--shape", "T=1 H=64 R=16", "--jobs", "1"]
    assert main([*command, "--out", str(tmp_path / "a")]) == 2
    assert "these shapes are of 2 groups (bgmv_expand H=64 R=8 " in capsys.readouterr().err


def test_fresh_compiles_in_a_folder_that_goes_away(faked, tmp_path, monkeypatch):
    seen = []
    do = RecordOne.do
    monkeypatch.setattr(RecordOne, "do", lambda *where: seen.append(os.environ["COLD_KERNELS_CACHE"]) or do(*where))
    monkeypatch.setenv("COLD_KERNELS_CACHE", "kept")
    assert exhaust(tmp_path / "a", "--fresh") == 0
    assert os.environ["COLD_KERNELS_CACHE"] == "kept" and len(set(seen)) == 1
    assert seen[0] != "kept" and not Path(seen[0]).exists()


def test_seconds_are_kept_by_what_they_were_spent_on(faked, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_SECONDS", "0.01")
    assert exhaust(tmp_path / "a") == 0
    space = load_space(tmp_path / "a")
    spent = space.recorded[Record(TILE=4096, AUTO=True)].seconds
    assert spent["simulate"] >= 0.01 and spent["check"] >= 0.01
    assert space.seconds(Record(TILE=4096, AUTO=True)) == pytest.approx(sum(spent.values()))
    assert space.recorded[Record(TILE=BROKEN_TILE, AUTO=True)].seconds["simulate"] < 0.01


def test_a_group_is_recorded_as_a_search_sees_it(faked, tmp_path):
    assert exhaust(tmp_path / "a", "--shape", "N=8192") == 0
    space = load_space(tmp_path / "a")
    (group,) = groups(tiny_add, [Case.parse(text, tiny_add) for text in space.about["cases"]])
    assert space.about["cases"] == [str(case) for case in group.cases] and len(group.cases) == 2
    assert space.domain.legal == group.legal and space.domain.values == group.domain.values
    assert space.about["declaration"] == group.declaration()
