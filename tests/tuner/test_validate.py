import json

import pytest

pytest.importorskip("optuna")
pytest.importorskip("triton")
from tests.tuner.fake_machine import fake_machine
from tests.tuner.tiny_spec import tiny_add
from tuner.__main__ import main
from tuner.robustness import ranking
from tuner.robustness import validation as validate


def row(name, predicted, published, kernel="k", judged=True, cube=False):
    about = dict(name=name, kernel=kernel, chip="a", programs=1, clock="task duration", weight=1.0, judged=judged)
    about["cube"] = cube
    return validate.compared(predicted, published, **about, source="b", explanation="")


@pytest.mark.parametrize("predicted, within", [(124, True), (81, True), (126, False), (79, False)])
def test_a_row_is_within_a_quarter_both_ways(predicted, within):
    assert row("x", predicted, 100)["within"] is within


def test_order_is_asked_where_published_times_differ():
    met = validate.judged([row("x", 100, 100), row("y", 99, 105), row("z", 130, 120)])
    assert met["met"] and met["kernels"]["k"]["pairs"] == 2 and met["kernels"]["k"]["tau"] == 1
    missed = validate.judged([row("x", 109, 100), row("z", 108, 120)])
    assert not missed["met"] and missed["goal"]["out_of_order"] == ["k"]
    apart = validate.judged([row("x", 109, 100), row("z", 108, 120, kernel="other")])
    assert apart["met"]


def test_one_row_beyond_half_as_much_is_too_many():
    near = [row(str(n), 100 + n, 100 + n) for n in range(19)]
    assert validate.judged([*near, row("x", 148, 100, kernel="other")])["met"]
    far = validate.judged([*near, row("x", 152, 100, kernel="other")])
    assert not far["met"] and far["goal"]["within_25"] >= 0.9
    assert validate.judged([*near, row("x", 152, 100, kernel="other", judged=False)])["met"]


def test_rows_of_the_cube_core_have_a_goal_of_their_own():
    near = [row("x", 100, 100), *(row(str(n), 110, 100, "mm", False, True) for n in range(10))]
    far = [row(f"far {n}", 140, 100, "mm", False, True) for n in range(2)]
    goal = validate.judged([*near, *far])
    assert goal["met"] and goal["goal"]["cube"] == {"rows": 12, "median_error": 0.1, "within_30": 10, "met": True}
    assert not validate.judged([*near, *far, row("more", 140, 100, "mm", False, True)])["met"]
    assert not validate.judged([row("x", 100, 100), row("y", 120, 100, "mm", False, True)])["met"]


@pytest.mark.parametrize("predicted, code", [(100, 0), (200, 1)])
def test_the_command(monkeypatch, capsys, predicted, code):
    monkeypatch.setattr(validate, "rows", lambda chips: [row("x", predicted, 100)])
    assert main(["validate"]) == code
    said = capsys.readouterr().out
    assert "measured" in said and "simulated" in said and ("(miss)" in said) is bool(code)
    assert main(["validate", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"rows", "kernels", "left_out", "goal", "met"} and found["met"] is not bool(code)
    assert found["rows"][0]["ratio"] == predicted / 100
    for key in (*found, *found["rows"][0], *found["kernels"]["k"]):
        assert f"``{key}``" in validate.__doc__.replace("\n", " ")


def test_the_range_of_the_plausible_chips_is_shown():
    found = validate.judged([row("x", 100, 110) | {"plausible_us": [80.1, 130.2]}])
    assert "| x | 1 | 100.0 (80 to 130) | 110.0 | 0.91 |" in validate.text(found)


def test_without_the_compiler(monkeypatch, capsys):
    def missing(chips):
        raise ImportError("no such module")

    monkeypatch.setattr(validate, "rows", missing)
    assert main(["validate"]) == 1
    assert "validate: no such module; python -m pip install" in capsys.readouterr().err


def test_ranks_of_a_sample():
    machine = fake_machine("Ascend910B3")
    found = ranking.rank(tiny_add, "N=8192", machine, 10)
    assert found == ranking.rank(tiny_add, "N=8192", machine, 10)
    assert found.compiled == 10 and found.chips == 32 and 0 <= found.first <= found.in_top <= 32
    assert len(found.regrets) == 32 and min(found.regrets) >= 0
    assert max(found.net_regrets) >= max(found.regrets) and found.spread > 1
    assert {"regret_median", "regret_worst", "net_regret_worst", "in_top"} < set(found.summary())


def test_too_few_to_rank():
    with pytest.raises(ValueError, match="3 configurations compile, which is too few to rank 5"):
        ranking.rank(tiny_add, "N=8192", fake_machine("Ascend910B3"), 3)
