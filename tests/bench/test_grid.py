"""What ``python -m bench grid`` counts and shows, with cells made by hand."""

import pytest

pytest.importorskip("xdsl")
from bench.__main__ import main
from bench.layers import cases as layer_cases
from bench.layers import grid
from tests.bench.test_goals import found


@pytest.fixture
def shown(monkeypatch):
    """The cells that are shown; whatever is asked for is known, as is the first hundred of the sample."""
    seen = []
    monkeypatch.setattr(grid, "current", lambda: dict.fromkeys(layer_cases.sample(100), found()))
    monkeypatch.setattr(layer_cases, "known", lambda cells, progress: dict.fromkeys(cells, found()))
    monkeypatch.setattr(grid, "show", lambda cells: seen.extend(cells))
    return seen


def test_a_sample_is_shown_alone(shown):
    assert main(["grid", "--sample", "20"]) == 0
    assert shown == layer_cases.sample(20)


def test_what_is_known_of_a_chip_and_of_so_many_rows(shown):
    assert main(["grid", "--chip", "Ascend910B1", "--rows", "16"]) == 0
    assert shown and {(cell.chip, cell.batch.rows) for cell in shown} == {("Ascend910B1", 16)}


def test_bad_input(shown, capsys):
    assert main(["grid", "--sample", "3001"]) == 2
    assert "--sample 3001: the grid has 3000 cells" in capsys.readouterr().err
    assert main(["grid", "--sample", "1", "--rows", "256"]) == 2
    assert "--sample 1 draws no cell of any chip and 256 rows" in capsys.readouterr().err
    assert not shown
