import pickle

import pytest

from cold_kernels.record import Record


def test_keys_are_attributes():
    config = Record(TILE=4, DEPTH=2)
    assert config.TILE == config["TILE"] == 4
    assert list(config) == ["TILE", "DEPTH"] and len(config) == 2
    assert str(config) == "TILE=4 DEPTH=2"


def test_order_does_not_count():
    one, other = Record(A=1, B=2), Record({"B": 2}, A=1)
    assert one == other and hash(one) == hash(other)
    assert {one: "found"}[other] == "found"
    assert one != Record(A=1, B=3) and one != Record(A=1)


def test_later_names_win():
    assert Record({"A": 1, "B": 2}, B=3) == {"A": 1, "B": 3}


def test_missing_name_says_what_is_there():
    with pytest.raises(AttributeError, match="no 'TIEL' here; have TILE"):
        Record(TILE=4).TIEL
    with pytest.raises(AttributeError, match="have nothing"):
        Record().TILE
    with pytest.raises(KeyError):
        Record(TILE=4)["TIEL"]


def test_immutable():
    config = Record(TILE=4)
    with pytest.raises(AttributeError, match="immutable: build another one with TILE = 8"):
        config.TILE = 8
    with pytest.raises(TypeError):
        config["TILE"] = 8
    assert config.TILE == 4


def test_later_changes_of_the_source_do_not_show():
    source = {"A": 1}
    record = Record(source)
    source["A"] = 2
    assert record.A == 1


def test_pickle():
    record = Record(A=1, dtype="fp16")
    assert pickle.loads(pickle.dumps(record)) == record
