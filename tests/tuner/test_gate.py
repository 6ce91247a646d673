"""The command gate, without a compiler: what is counted is given here."""

import json
from pathlib import Path

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from cold_kernels.ascend.installation import toolchain_problem
from tuner.__main__ import main
from tuner.gate import gated
from tuner.gate.cells import WrongResult

pytestmark = pytest.mark.skipif(toolchain_problem() is not None, reason=str(toolchain_problem()))
SPEC = f"{Path(__file__).with_name('tiny_spec.py')}:tiny_add"
CASE = "N=4096 dtype=fp32"


@pytest.fixture
def gate(tmp_path, monkeypatch, capsys):
    """Runs the command where that much is counted; gives the exit code, and what it prints."""
    file = tmp_path / "accepted" / "tiny_add.json"

    def run(*options, launches=1, wrong=""):
        def facts_of(spec, machine):
            if wrong:
                raise WrongResult(wrong)
            return {CASE: {"launches": launches, "instructions": {"V": 10}, "findings": {"few_programs": 1}}}

        monkeypatch.setattr(gated, "facts_of", facts_of)
        code = main(["gate", SPEC, "--file", str(file), *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    run.file = file
    return run


def accepted(gate, **counted):
    assert gate("--accept", "--reason", "as it is", **counted)[0] in (0, None)


def test_what_is_accepted_stands_in_the_file_with_its_reason(gate):
    accepted(gate)
    kept = json.loads(gate.file.read_text())
    assert kept["kernel"] == "tiny_add" and kept["cases"][CASE]["launches"] == 1
    assert [note["reason"] for note in kept["accepted"]] == ["as it is"]


def test_nothing_changed(gate):
    accepted(gate)
    code, said = gate()
    assert code in (0, None) and "1 cases of tiny_add on Ascend910B3 are as accepted" in said


def test_a_change_fails_with_both_values(gate):
    accepted(gate)
    code, said = gate(launches=2)
    assert code == 3
    assert CASE in said and [line.split() for line in said.splitlines() if "launches" in line] == [
        ["launches", "1", "2", "+100.0", "%"]
    ]
    assert gate(launches=1)[0] in (0, None)  # looking accepts nothing


def test_a_change_may_be_accepted_and_keeps_the_reasons_before(gate):
    accepted(gate)
    assert gate("--accept", "--reason", "a second pass", launches=2)[0] in (0, None)
    assert gate(launches=2)[0] in (0, None)
    assert [note["reason"] for note in json.loads(gate.file.read_text())["accepted"]] == ["as it is", "a second pass"]


def test_json_has_differences_and_facts(gate):
    accepted(gate)
    code, said = gate("--json", launches=2)
    data = json.loads(said)
    assert code == 3 and data["facts"][CASE]["launches"] == 2 and "launches" in data["differences"][CASE]
    assert data["accepted"] is False


def test_nothing_is_accepted_of_a_wrong_result(gate):
    code, said = gate("--accept", "--reason", "as it is", wrong="z is 9 times the allowed error off")
    assert code == 1 and "nothing is counted of a wrong result: z is 9 times" in said
    assert not gate.file.exists()


def test_without_an_accepted_file_it_says_what_to_do(gate):
    code, said = gate()
    assert code == 1 and "nothing was accepted in" in said and "--accept --reason" in said


@pytest.mark.parametrize(
    "options, said",
    [(["--accept"], "--accept wants --reason"), (["--accept", "--reason", " "], "--accept wants --reason"),
     (["--reason", "why"], "--reason is for --accept")],
)  # fmt: skip
def test_a_reason_belongs_to_what_is_accepted(gate, options, said):
    code, text = gate(*options)
    assert code == 2 and said in text


@pytest.mark.parametrize("content", ["no json", "[]", '{"format": 99, "cases": {}}'])
def test_a_file_that_is_none_of_these_is_named(gate, content):
    gate.file.parent.mkdir()
    gate.file.write_text(content)
    code, said = gate()
    assert code == 2 and "holds no accepted facts" in said and len(said.strip().splitlines()) == 1
