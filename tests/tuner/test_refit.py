"""The fit to published rows on made-up ones: it finds what they show, and predicts a kernel that is left out."""

import json
import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

pytest.importorskip("triton")
pytest.importorskip("optuna")
from cold_kernels.ascend.chips import CONSTANTS
from tuner.__main__ import main
from tuner.calibration import published

TRUTH = {"launch_us": 0.7, "dispatch_us": 0.066, "short_row": 20.0}
MIXES = {
    "tiny": [(1, 1, 0), (1, 40, 0), (1, 400, 0)],
    "rows": [(1, 48, 0.01), (1, 48, 0.1), (1, 48, 1)],
    "both": [(1, 1, 0.1), (1, 100, 0.5), (1, 10, 0.2)],
}


@dataclass(frozen=True, eq=False)
class MadeUp:
    """A row that takes so many of each constant of `TRUTH`."""

    row: SimpleNamespace
    mix: tuple

    def on(self, chip):
        return sum(count * chip.constants[name] for name, count in zip(TRUTH, self.mix, strict=True))

    def uses(self):
        return frozenset(TRUTH)


def made_up(spoilt=None, **about):
    rows = []
    for kernel, mixes in MIXES.items():
        for mix in mixes:
            us = sum(count * value for count, value in zip(mix, TRUTH.values(), strict=True))
            us *= 3 if kernel == spoilt else 1
            row = dict(name=f"{kernel} {mix}", kernel=SimpleNamespace(name=kernel), weight=1.0, comparable=True)
            rows.append(MadeUp(SimpleNamespace(**row | dict(cold=False, published_us=us) | about), mix))
    return rows


def test_constants_come_back_and_predict_a_kernel_that_was_left_out():
    found = published.refit(made_up())
    for name, value in TRUTH.items():
        assert found.fitted.values[name] == pytest.approx(value, rel=0.03)
        low, high = found.interval(name)
        assert CONSTANTS[name].low <= low <= high <= CONSTANTS[name].high
    assert set(found.without) == set(MIXES) and len(found.predicted) == 9
    said = published.summary(found, made_up())
    assert said["fitted"]["median"] < 0.03 and said["left_out"]["within_35"] == 1


def test_a_kernel_that_is_otherwise_is_seen_where_it_is_left_out():
    said = published.summary(published.refit(rows := made_up(spoilt="both")), rows)
    off = [math.log(row["published_us"] / row["left_out_us"]) for name, row in said["rows"].items() if "both" in name]
    assert min(off) > math.log(1.5)
    assert said["left_out"]["within_35"] < 1


def test_rows_that_the_model_does_not_tell_apart_count_together():
    rows = made_up()
    groups = published._told_apart([*rows, *rows], published.chip_named("Ascend910B3"))
    assert len(groups) == 9 and all(len(alike) == 2 for _, alike in groups)


@pytest.mark.parametrize("about", [dict(comparable=False), dict(cold=True)])
def test_what_is_not_comparable_or_measured_within_other_work_is_not_fitted_to(about):
    odd = made_up(**about)[0]
    odd.row.name, odd.row.published_us = "odd", 1e6
    assert "odd" not in published.refit([*made_up(), odd]).predicted


def test_the_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(published, "recorded", lambda rows, tell: made_up())
    assert main(["refit"]) == 0
    said = capsys.readouterr().out
    assert '"dispatch_us": Constant(0.06' in said and "left_out: 9 rows" in said
    assert main(["refit", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"constants", "rows", "fitted", "left_out", "tables"}
    assert main(["refit", str(tmp_path)]) == 2
    assert "has no JSON file with tables" in capsys.readouterr().err
