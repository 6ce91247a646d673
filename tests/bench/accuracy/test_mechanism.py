"""The study end to end at its smallest, what it chooses, and what its page says."""

import gzip
import json
import re

import numpy as np
import pytest

pytest.importorskip("peft")

from bench.__main__ import main
from bench.accuracy import cell, mechanism, mechanism_page, methods, page, tiny_models
from bench.accuracy.outcomes import pack, unpack
from bench.pages import ROOT, generated
from decoding import Request
from decoding.evaluation import rules

REGIMES = ("opposes", "mixed", "agrees")
SMALL = ["--bases", "1", "--adapters", "2", "--problems", "10", "--validation", "10"]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The command's arguments for a study of seconds."""
    monkeypatch.setattr(cell, "BASE_STEPS", 2)
    monkeypatch.setattr(cell, "ADAPTER_STEPS", dict.fromkeys(REGIMES, 2))
    monkeypatch.setattr(methods, "SCALED", {"scaled 2": 2.0})
    sizes = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1)
    monkeypatch.setattr(tiny_models, "SIZES", {**tiny_models.SIZES, **sizes})
    monkeypatch.setattr(methods, "families", lambda: {"a": [rules.fixed(0.1, 1.0)], "b": [rules.agreed(0.1, 0.5)]})
    return ["accuracy", "mechanism", *SMALL, "--folder", str(tmp_path)]


def test_an_interrupted_study_goes_on_to_the_same_result(small, tmp_path, capsys, monkeypatch):
    assert main([*small, "--out", str(tmp_path / "whole.json.gz")]) == 0
    whole = capsys.readouterr().out
    trained = cell.train_adapter
    calls = []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return trained(*arguments)

    again = [*small[:-1], str(tmp_path / "again"), "--out", str(tmp_path / "again.json.gz")]
    with monkeypatch.context() as context:
        context.setattr(cell, "train_adapter", fails)
        assert main(again) == 130
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.setattr(cell, "train_adapter", lambda *a: calls.append(a) or trained(*a))
    assert main(again) == 0
    assert len(calls) == 4 + 4  # a regime was kept, the one that was interrupted begins again
    assert capsys.readouterr().out == whole
    assert (tmp_path / "again.json.gz").read_bytes() == (tmp_path / "whole.json.gz").read_bytes()


def test_time_that_is_up_is_said(small, capsys):
    assert main([*small, "--minutes", "0"]) == 3
    assert "time is up before opposes, base 1 of 1, validation" in capsys.readouterr().out


def test_a_folder_of_another_study_is_refused(small, capsys):
    assert main([*small, "--minutes", "0"]) == 3
    assert main([*small, "--seed", "1"]) == 2
    assert "has results of another study (seed)" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("bases", "0"), ("problems", "3"), ("seed", "-1"), ("minutes", "-1")])
def test_numbers_out_of_range_are_refused(option, value, capsys):
    assert main(["accuracy", "mechanism", f"--{option}", value]) == 2
    assert f"--{option} {value}: " in capsys.readouterr().err


class FakeCell:
    """A base with one adapter, of which each method solves a known share of 1000 problems."""

    settings = cell.Settings(adapters=1)

    def __init__(self, regime, shares):
        self.regime, self.shares = regime, shares

    def solved(self, part, adapter, names):
        assert part == "validation"
        return {name: np.arange(1000) < 1000 * self.shares[name] for name in names}


def chosen(monkeypatch, shares):
    """Which of two rules `choose` takes, by regime the share that each solves where greedy solves half; its gains."""
    pair = [rules.fixed(0.1, beta) for beta in (0.5, 1.0)]
    names = [methods.key(rule) for rule in pair]
    monkeypatch.setattr(methods, "families", lambda: {"pair": pair})
    monkeypatch.setattr(methods, "on_validation", lambda: ["greedy", *names])
    cells = [FakeCell(regime, {"greedy": 0.5, **dict(zip(names, each))}) for regime, each in shares.items()]
    (row,) = mechanism.choose(cells)
    return names.index(row["rule"]), row["validation"]


def test_the_harmless_setting_with_the_best_mean_is_chosen(monkeypatch):
    place, gains = chosen(monkeypatch, {"opposes": (0.6, 0.9), "agrees": (0.496, 0.494)})
    assert place == 0 and gains == pytest.approx({"opposes": 0.1, "agrees": -0.004})
    assert chosen(monkeypatch, {"opposes": (0.6, 0.7), "agrees": (0.5, 0.496)})[0] == 1


def test_where_all_harm_the_least_harmful_is_chosen(monkeypatch):
    assert chosen(monkeypatch, {"opposes": (0.9, 0.6), "agrees": (0.4, 0.45)})[0] == 1


def test_ties_go_to_greedy_and_then_to_the_smaller_beta():
    solved = {name: np.array([1, 0]) for name in (*methods.fixed(), *methods.scaled())}
    assert cell.best(solved, methods.fixed()) == cell.best(solved, methods.scaled()) == "greedy"
    better = ("alpha 0.1, fixed 0.5", "alpha 0.3, fixed 0.25", "scaled 1.5")
    solved |= dict.fromkeys(better, np.array([1, 1]))
    assert cell.best(solved, methods.fixed()) == "alpha 0.3, fixed 0.25"
    assert cell.best(solved, methods.scaled()) == "scaled 1.5"


def test_methods_that_the_folder_has_are_not_decoded_again(small, tmp_path, monkeypatch):
    assert main(small) == 0
    one = cell.Cell(cell.Settings(1, 2, 10, 10), tmp_path / "full", "mixed", 0)
    before = one.solved("test", 1, ["greedy"])
    asked = []
    decode = cell.decode
    monkeypatch.setattr(cell, "decode", lambda *a: asked.append(len(a[3])) or decode(*a))
    again = one.solved("test", 1, ["greedy", methods.key(methods.GRID[0]), methods.key(methods.GRID[1])])
    assert asked == [2] and (again["greedy"] == before["greedy"]).all()


def study(gains, count=400):
    """A study whose methods differ from greedy (half right) by the given shares, by regime."""
    draw = np.random.default_rng(0)
    order = draw.permutation(count)

    def solved(share):
        bits = np.zeros(count, int)
        bits[order[: round(share * count)]] = 1
        return pack(bits)

    def adapter(regime):
        of = {"base": 0.1, "greedy": 0.5, "scaled": 0.5, "beams": 0.5, "alpha 0.1, fixed 0.5": 0.5}
        of |= {name: 0.5 + gain for name, gain in gains[regime].items()}
        return {"tuned": "greedy", "scaled": "greedy", "solved": {name: solved(share) for name, share in of.items()}}

    return {
        "settings": dict(
            bases=2, adapters=2, problems=count, validation=9, seed=0, adapter_steps=dict.fromkeys(gains, 5)
        ),
        "versions": {"torch": "1"},
        "rules": [{"family": "mine", "rule": "rule", "validation": {}}],
        "regimes": {regime: [[adapter(regime)] * 2] * 2 for regime in gains},
    }


@pytest.mark.parametrize(
    ("opposes", "agrees", "expected"),
    [
        (dict(tuned=0.2, rule=0.2), dict(tuned=0.0, rule=0.0), ("yes", "yes")),
        (dict(tuned=0.2, rule=0.05), dict(tuned=0.0, rule=0.0), ("yes", "no")),
        (dict(tuned=0.2, rule=0.2), dict(tuned=0.0, rule=-0.1), ("no", "yes")),
        (dict(tuned=0.2, rule=0.2), dict(tuned=0.0, rule=-0.005), ("undecided", "yes")),
        (dict(tuned=0.0, rule=0.0), dict(tuned=0.0, rule=0.0), ("yes", "undecided")),
    ],
)
def test_verdicts(opposes, agrees, expected):
    made = study({"opposes": opposes, "agrees": agrees})
    tables = {regime: {row.name: row for row in mechanism_page.rows(made, regime)} for regime in made["regimes"]}
    assert mechanism_page.verdict(made, tables, "rule") == expected


def test_wins_and_losses_are_shares_of_all_pairs():
    made = study({"opposes": dict(tuned=0.2, rule=-0.1)})
    row = {row.name: row for row in mechanism_page.rows(made, "opposes")}["rule"]
    assert (row.won, row.lost) == (0, pytest.approx(0.1)) and row.gain.mean == pytest.approx(-0.1)


def test_the_default_is_the_requests():
    assert methods.key(methods.DEFAULT) == mechanism_page.DEFAULT
    assert (Request.alpha, Request.beta) == (0.1, 0.5)


def test_outcomes_survive_their_text():
    bits = np.random.default_rng(0).integers(2, size=37)
    assert unpack(pack(bits), 37).tolist() == bits.astype(bool).tolist()


def test_the_page_shows_the_accepted_outcomes():
    shown = [
        each for each in generated(ROOT / "docs" / "accuracy.md") if each.command.endswith("accuracy page mechanism")
    ]
    assert [each.text.strip() for each in shown] == [page.section("mechanism")]
    made = json.loads(gzip.decompress((page.ACCEPTED / "mechanism.json.gz").read_bytes()))
    assert set(made["regimes"]) == set(REGIMES)
    record = cell.Settings(bases=made["settings"]["bases"]).record
    assert made["settings"] == json.loads(json.dumps(record))  # of the training as it is, in its full size


def test_a_study_that_was_not_accepted_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(page, "ACCEPTED", tmp_path)
    assert main(["accuracy", "page", "mechanism"]) == 2
    assert re.search(
        r"mechanism.json.gz is not there; python -m bench accuracy mechanism --out", capsys.readouterr().err
    )
