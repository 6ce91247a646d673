"""What ``python -m bench grid`` counts and shows, with cells made by hand."""

import dataclasses

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("rich")
from bench.__main__ import main
from bench.layers import cases as layer_cases
from bench.layers import choice_cases, grid
from bench.layers.stored_cells import CellStore
from tests.bench.test_goals import choice, found


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """Stores in which the first hundred layers of the sample are known, and which note what else is counted."""
    seen = []

    def store(name, parse, made):
        def count(cell):
            seen.append(cell)
            return made(cell)

        return CellStore(tmp_path / name, parse, count, lambda chip: "now")

    layers = store("grid", layer_cases.LayerCase.of, lambda cell: whole(cell.batch.rows))
    layers.known(layer_cases.sample(100), lambda done, cell: None)
    seen.clear()
    monkeypatch.setattr(grid, "LAYERS", layers)
    choices = store("choice", lambda words: choice_cases.ChoiceCase(**words), lambda cell: choice())
    monkeypatch.setattr(grid, "CHOICES", choices)
    return seen


def whole(rows):
    made = found(ours=10.0 + rows, peer=20.0 + 2 * rows, least=8.0 + rows)
    made["another"]["device_us"] = made["a peer"]["device_us"]
    for name, scheme in made.items():
        if name != layer_cases.PARTS:
            scheme |= {"bytes": 100, "minimal": 100}
    return made


def test_a_sample_is_counted_and_shown(counted, capsys):
    assert main(["grid", "--sample", "103"]) == 0
    assert counted == layer_cases.sample(103)[100:]
    said = capsys.readouterr().out
    assert "103 layers of 3000, 0 prompts of 24, 0 choices of 168" in said and "nothing was measured on an NPU" in said
    assert "Device time" in said and "With host enqueue" in said and "23.7 us" in said


def test_choices_are_counted_where_asked_for(counted, capsys):
    assert main(["grid", "--choices", "--chip", "Ascend910B1", "--rows", "64"]) == 0
    assert {(cell.chip, cell.rows) for cell in counted} == {("Ascend910B1", 64)} and len(counted) == 4 * 2
    assert "8 choices of 168" in capsys.readouterr().out
    assert main(["grid"]) == 0
    assert len(counted) == 8 and "100 layers of 3000, 0 prompts of 24, 8 choices of 168" in capsys.readouterr().out


def test_prompts_are_counted_where_asked_for(counted, capsys):
    assert main(["grid", "--prefill", "--chip", "Ascend910B1", "--rows", "2048"]) == 0
    assert counted == [cell for cell in layer_cases.prefill() if cell.chip == "Ascend910B1" and cell.batch.rows == 2048]
    assert "2048 of a prompt" in capsys.readouterr().out
    assert main(["grid", "--sample", "100", "--prefill", "--rows", "2048"]) == 0
    assert len(counted) == 12 and "0 layers of 3000, 12 prompts of 24" in capsys.readouterr().out
    assert main(["grid"]) == 0
    assert len(counted) == 12 and "100 layers of 3000, 12 prompts of 24" in capsys.readouterr().out


def test_rows_that_share_adapters_are_counted_where_asked_for(counted, capsys):
    assert main(["grid", "--sharing", "--chip", "Ascend910B1", "--rows", "64"]) == 0
    kinds = {(cell.model, cell.rank, cell.batch.adapters) for cell in layer_cases.sharing()}
    assert len(kinds) == 2 * 2 * 2 and {adapters for *_, adapters in kinds} == {"equal", "zipf"}
    assert set(layer_cases.sharing()) <= set(layer_cases.grid())
    known = layer_cases.sample(100)
    wanted = [cell for cell in layer_cases.sharing() if (cell.chip, cell.batch.rows) == ("Ascend910B1", 64)]
    assert counted == [cell for cell in wanted if cell not in known] and counted


def test_what_is_known_of_a_chip_and_of_so_many_rows(counted, capsys):
    assert main(["grid", "--chip", "Ascend910B1", "--rows", "16"]) == 0
    known = [each for each in layer_cases.sample(100) if (each.chip, each.batch.rows) == ("Ascend910B1", 16)]
    assert known and f"{len(known)} layers of 3000" in capsys.readouterr().out and not counted


def test_a_goal_that_is_not_met_is_an_exit_code(counted, monkeypatch):
    slow = dataclasses.replace(grid.CHOICES, count=lambda cell: choice(us=13.0))
    monkeypatch.setattr(grid, "CHOICES", slow)
    assert main(["grid", "--choices", "--rows", "1"]) == 1


def test_the_table_for_a_page_names_both_clocks(counted, capsys):
    assert main(["grid", "--markdown"]) == 1
    assert "is not known yet; python -m bench step counts it" in capsys.readouterr().err
    grid.LAYERS.known([grid.FIRST], lambda done, cell: None)
    assert main(["grid", "--markdown"]) == 0
    *_, header, rule, gathered, _, ours = capsys.readouterr().out.strip().splitlines()
    assert "device time, us" in header and "with host enqueue, us" in header and rule.count("---") == 6
    each = (20 + 2 * 32) / 12  # less than the host pays: it enqueues 12, and the device runs the last one
    host = [f"{12 * paid + each:.0f}" for paid in (23.7, 8.6, 87)]
    assert f"| 12 | 1.00 | 84 (84 to 84) | 32/32 | {host[0]} ({host[1]} to {host[2]}) |" in gathered
    assert ours.startswith("| cold-kernels | 4 | 1.00 | 42 (42 to 42) | - |")


def test_the_goals_for_a_page_come_from_disk(counted, capsys, monkeypatch):
    assert main(["grid", "--choices", "--rows", "1", "--chip", "Ascend910B4"]) == 0
    capsys.readouterr()
    assert main(["grid", "--goals"]) == 0
    about, _, header, rule, *rows = capsys.readouterr().out.strip().splitlines()
    assert "100 layers of 3000, 0 prompts of 24, 8 choices of 168" in about and "nothing was measured" in about
    assert "device time" in header and len(rows) == len(grid.goals(grid.LAYERS.latest(), grid.CHOICES.latest()))
    assert all(row.count(" | ") == rule.count(" | ") for row in rows)
    monkeypatch.setattr(grid, "LAYERS", dataclasses.replace(grid.LAYERS, folder=grid.LAYERS.folder / "none"))
    monkeypatch.setattr(grid, "CHOICES", dataclasses.replace(grid.CHOICES, folder=grid.CHOICES.folder / "none"))
    assert main(["grid", "--goals"]) == 1
    assert "nothing is known yet" in capsys.readouterr().err


def test_bad_input(counted, capsys):
    assert main(["grid", "--sample", "3001"]) == 2
    assert "--sample 3001: the grid has 3000 cells" in capsys.readouterr().err
    assert main(["grid", "--sample", "1", "--rows", "256"]) == 2
    assert "--sample 1 draws no cell of any chip and 256 rows" in capsys.readouterr().err
    assert not counted
