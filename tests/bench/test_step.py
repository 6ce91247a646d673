"""Decode steps put together from known layers, on figures made by hand."""

import json

import pytest

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.__main__ import main
from bench.layers import cases as layer_cases
from bench.layers import step
from bench.layers.goals import OURS, PARTS
from bench.layers.projections import MODELS

SCHEMES = {"a peer": {"us": [200.0], "launches": 12}, OURS: {"us": [50.0], "launches": 4}, PARTS: []}


@pytest.fixture
def known(monkeypatch):
    """Layers whose LoRA takes as long however many rows there are, and a choice of 30 us."""
    asked = []

    def found(cells, progress):
        asked.extend(cells)
        return dict.fromkeys(cells, SCHEMES)

    monkeypatch.setattr(layer_cases, "known", found)
    monkeypatch.setattr(step, "choice_of", lambda vocabulary, requests: (30.0, 1))
    return asked


def test_rows_of_a_step(known):
    step.steps([MODELS["Llama-2-7B"]], [16], [4], "equal")
    greedy, cold = (cell.batch for cell in known)
    assert greedy.slots == (0, 0, 0, 0) and cold.slots == (0, 0, 0, 0, -1, -1, -1, -1)
    assert {cell.chip for cell in known} == {"Ascend910B3"}


def test_what_a_step_takes(known):
    model = MODELS["Llama-2-7B"]
    each = step.steps([model], [16], [4], "distinct")[model.name, 16, 4]
    base = model.base_bytes / (1.8e12 * 0.83) * 1e6
    assert each["greedy", "a peer"].us(10.0) == pytest.approx(base + 32 * (200 + 120))
    assert each["CoLD", OURS].us(10.0) == pytest.approx(base + 32 * (50 + 40) + 30 + 10)
    faster = (base + 32 * 90 + 40) / (base + 32 * 320) - 1
    assert step.change(each, "a peer", 10.0) == pytest.approx(faster) and faster < 0


def test_the_command(known, capsys, tmp_path):
    picture = tmp_path / "steps.png"
    assert main(["step", "--requests", "1", "--requests", "8", "--rank", "64", "--picture", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "MODELLED" in said and "nothing was measured on an NPU" in said and "Qwen2.5-7B, rank 64" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["step", "--model", "Qwen2.5-7B", "--requests", "2", "--rank", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["evidence"].startswith("modelled") and len(found["steps"]) == 4
    assert found["steps"][0]["us"]["20"] > found["steps"][0]["us"]["5"]


def test_bad_input(known, capsys):
    assert main(["step", "--picture", "steps.jpg"]) == 2
    assert "steps.jpg: the name must end in .png" in capsys.readouterr().err
    assert main(["step", "--picture", "no/such/steps.png"]) == 2
    assert "there is no folder no/such" in capsys.readouterr().err
    assert not known
