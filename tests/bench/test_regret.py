"""What the nearest entry of a table costs."""

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.__main__ import main
from bench.layers import cases as layer_cases
from bench.layers import regret
from bench.layers.projections import Batch


def test_summary():
    found = [regret.Regret("a launch", 10.0 + n, 10.0, 3) for n in range(10)]
    said = regret.summary(found)
    assert "median 45.0% (goal 2%)" in said and "90th percentile 80.0%" in said and "worst 90.0%" in said


def test_a_size_that_was_tuned_has_none_to_speak_of(compiler):
    cell = layer_cases.LayerCase("Ascend910B3", "SmolLM2-135M", 16, Batch(1))
    found = regret.regret(cell, 0)
    assert found.tried > 1 and 0 <= found.regret < 0.5 and found.launch.endswith("qkv")


def test_bad_input(capsys):
    for count in ("0", "3001"):
        assert main(["regret", "--sample", count]) == 2
        assert f"--sample {count}: the grid has 3000 cells; take 1 to all" in capsys.readouterr().err
