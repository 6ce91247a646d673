"""``python -m tuner mutants``: its exit code. What it counts is tests/ascend/simulator/test_mutants.py's."""

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from tuner.__main__ import main
from tuner.robustness import mutants


@pytest.mark.parametrize(
    ("score", "alarms", "code"),
    [(1.0, [], 0), (mutants.GOAL, [], 0), (mutants.GOAL - 0.01, [], 1), (1.0, ["whole: race"], 1)],
    ids=("all are found", "as many as is the goal", "too few", "a false alarm"),
)
@pytest.mark.parametrize("more", [(), ("--json",)], ids=("text", "json"))
def test_exit_code(monkeypatch, capsys, score, alarms, code, more):
    found = mutants.judged(iter(()), 1) | {"score": score, "false_alarms": alarms}
    monkeypatch.setattr(mutants, "judged", lambda *_, **__: found)
    assert main(["mutants", "bgmv_shrink", *more]) == code
    assert all(alarm in capsys.readouterr().out for alarm in alarms)
