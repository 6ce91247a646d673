"""``python -m tuner explain``: each constraint with its numbers, and what the compiler says."""

import json
from pathlib import Path

import pytest

for needed in ("triton", "xdsl", "ml_dtypes", "rich"):
    pytest.importorskip(needed)
from cold_kernels.ascend.errors import CompilationFailed
from cold_kernels.ascend.toolchain import toolchain_problem
from tuner.__main__ import main
from tuner.profile import profiled as launched

SPEC = f"{Path(__file__).parent / 'tiny_spec.py'}:tiny_add"
compiled = pytest.mark.skipif(toolchain_problem() is not None, reason="the Ascend compiler is not installed")


def explained(capsys, code, *arguments):
    assert main(["explain", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@compiled
def test_a_usable_configuration(capsys):
    found = explained(capsys, 0, SPEC, "--config", "TILE=2048")
    assert found["usable"] and found["config"] == {"TILE": 2048, "AUTO": True}
    (constraint,) = found["constraints"]
    assert (constraint["name"], constraint["violation"], constraint["holds"]) == ("tile_past_size", -2048, True)
    assert "c.TILE - max(64, triton.next_power_of_2(s.N))" in constraint["source"]
    (launch,) = found["compiler"]
    assert launch["outcome"] == "compiles" and 0 < launch["planned_bytes"] <= launch["capacity_bytes"]
    assert main(["explain", SPEC, "--config", "TILE=2048"]) == 0
    said = capsys.readouterr().out
    assert "holds tile_past_size: -2048, at most 0" in said and "us simulated" in said and said.endswith("usable\n")


def test_a_constraint_that_does_not_hold(capsys):
    found = explained(capsys, 1, SPEC, "--config", "TILE=8192", "--shape", "N=1000")
    assert not found["usable"] and found["compiler"] == []
    assert found["constraints"][0]["violation"] == 8192 - 1024
    assert found["nearest_legal"][0] == "TILE=1024"
    assert main(["explain", SPEC, "--config", "TILE=8192", "--shape", "N=1000"]) == 1
    said = capsys.readouterr().out
    assert "FAILS tile_past_size: 7168, at most 0" in said and "legal with TILE=1024 or TILE=512" in said
    assert said.endswith("NOT usable\n")


def test_a_size_above_its_limit(capsys):
    found = explained(capsys, 1, "bgmv_shrink", "--shape", "R=512")
    assert found["limits"] == [{"dimension": "R", "size": 512, "limit": 256, "holds": False}]
    assert not found["nearest_legal"] and not found["compiler"]
    assert main(["explain", "bgmv_shrink", "--shape", "R=512"]) == 1
    assert "FAILS limit R: 512, at most 256" in capsys.readouterr().out


@compiled
def test_tiles_that_do_not_fit(capsys):
    arguments = ("bgmv_shrink", "--config", "TILE_R=32 TILE_H=4096 SPLIT_H=1", "--shape", "R=64")
    found = explained(capsys, 1, *arguments)
    (launch,) = found["compiler"]
    assert launch["outcome"] == "overflow" and launch["required_bits"] > launch["available_bits"] == 192 * 8192
    assert main(["explain", *arguments]) == 1
    said = capsys.readouterr().out
    assert f"{launch['required_bits']} of {launch['available_bits']} bits" in said and "NOT usable" in said


@compiled
def test_the_compilers_own_words(monkeypatch, capsys):
    def refused(self, call):
        raise CompilationFailed("linalg", ["error: no such luck"], "add")

    monkeypatch.setattr(launched.ProfiledKernel, "compiled", refused)
    (launch,) = explained(capsys, 1, SPEC)["compiler"]
    assert launch["outcome"] == "failed" and launch["diagnostics"] == ["error: no such luck"]
    assert main(["explain", SPEC]) == 1
    said = capsys.readouterr().out
    assert "Triton IR -> Linalg (triton-adapter-opt) says:\nerror: no such luck" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([SPEC, "--config", "TILE"], "cannot read 'TILE'; write NAME=VALUE, as in 'TILE=256 AUTO=True'"),
        ([SPEC, "--config", "TILE=64 TILE=128"], "TILE is given twice"),
        ([SPEC, "--config", "AUTO=1"], "AUTO=1: AUTO is one of True, False"),
        ([SPEC, "--shape", "N=many"], "cannot read 'N=many'"),
        ([SPEC, "--chip", "H100"], "unknown chip 'H100'; use one of Ascend910B1"),
        ([SPEC.replace("tiny_add", "add")], "add is no KernelSpec"),
        (["no_such_kernel"], "unknown kernel 'no_such_kernel'"),
    ],
)
def test_bad_input(arguments, complaint, capsys):
    assert main(["explain", *arguments]) == 2
    said = capsys.readouterr()
    assert not said.out and complaint in said.err and said.err.count("\n") == 1
