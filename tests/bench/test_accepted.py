"""Facts accepted, compared and remembered."""

import json
from datetime import date

import pytest

from bench.exact.accepted import accept, path_of, read
from bench.history import history
from tuner.gate.difference import CYCLES, difference

FACTS = {"configuration": "TILE=8", "copies": 4, "drains": {"operation": 2, "full barrier": 0}, CYCLES: 100.0}
CHIP, KERNEL, CASE = "Ascend910B3", "copy_rows", "N=4 M=8"


def accepted(folder, facts, reason="because"):
    return accept(CHIP, {KERNEL: facts}, reason, folder)


def test_equal_facts_do_not_differ():
    assert difference(FACTS, json.loads(json.dumps(FACTS))) == ""
    assert difference(None, None) == ""


def test_a_difference_says_what_before_after_and_percent():
    now = FACTS | {"configuration": "TILE=16", "drains": {"operation": 2, "full barrier": 3}, CYCLES: 93.0}
    header, *lines = difference(FACTS, now).splitlines()
    assert header.split() == ["what", "accepted", "now", "change"]
    assert [line.split() for line in lines] == [
        ["configuration", "TILE=8", "TILE=16"],
        ["drains,", "full", "barrier", "0", "3", "from", "0"],
        ["simulated", "cycles", "100.0", "93.0", "-7.0", "%"],
    ]
    assert len({len(line) for line in [header, *lines[1:]]}) == 1  # columns stand below each other


def test_an_improvement_differs_as_well():
    assert "-50.0 %" in difference(FACTS, FACTS | {"copies": 2})


def test_a_fact_that_came_or_went_differs():
    more = difference(FACTS, FACTS | {"locks": 1}).splitlines()[1]
    assert more.split() == ["locks", "-", "1"]
    assert difference(FACTS | {"locks": 1}, FACTS).splitlines()[1].split() == ["locks", "1", "-"]


def test_a_case_that_came_or_went_differs():
    assert difference(None, FACTS) == "the case is not accepted yet"
    assert difference(FACTS, None) == "the case is counted no longer"


def test_what_is_accepted_is_read_again(tmp_path):
    assert read(CHIP, KERNEL, tmp_path) == {} and history(tmp_path) == []
    assert accepted(tmp_path, {CASE: FACTS}) == {KERNEL: 1}
    assert read(CHIP, KERNEL, tmp_path) == {CASE: FACTS}
    assert history(tmp_path) == [
        {"date": date.today().isoformat(), "reason": "because", "chip": CHIP, "cycles": {KERNEL: {CASE: 100.0}}}
    ]


def test_the_history_holds_what_changed_alone(tmp_path):
    accepted(tmp_path, {CASE: FACTS, "N=5": FACTS, "N=6": FACTS})
    assert accepted(tmp_path, {CASE: FACTS, "N=5": FACTS | {CYCLES: 90.0}}, "faster,\n and less") == {KERNEL: 2}
    _, latest = history(tmp_path)
    assert latest["reason"] == "faster, and less"
    assert latest["cycles"] == {KERNEL: {"N=5": 90.0, "N=6": None}}
    assert read(CHIP, KERNEL, tmp_path).keys() == {CASE, "N=5"}


def test_nothing_is_written_where_nothing_changed(tmp_path):
    accepted(tmp_path, {CASE: FACTS})
    path = path_of(CHIP, KERNEL, tmp_path)
    path.write_text(path.read_text() + "\n")
    assert accepted(tmp_path, {CASE: FACTS}) == {}
    assert path.read_text().endswith("\n\n") and len(history(tmp_path)) == 1


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_needed(tmp_path, reason):
    with pytest.raises(ValueError, match="--reason is empty; say what changed"):
        accepted(tmp_path, {CASE: FACTS}, reason)
    assert not list(tmp_path.iterdir())
