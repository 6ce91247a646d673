"""Cells on disk: what is known is not counted again, and what stayed the same is signed."""

import dataclasses
import json

import pytest

from bench.layers.cases import LayerCase
from bench.layers.choice_cases import ChoiceCase
from bench.layers.projections import Batch
from bench.layers.stored_cells import FORMAT, CellStore

CELL = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(4))
OTHER = LayerCase("Ascend910B1", "Qwen2.5-7B", 64, Batch(16, "zipf", True), "bf16")
FOUND = {"us": 1.5}


def quiet(done, cell):
    pass


@pytest.fixture
def store(tmp_path):
    """Counts nothing but what `FOUND` says, under a digest of code and of tables."""
    return CellStore(tmp_path, LayerCase.of, lambda cell: dict(FOUND), lambda chip: "code-tables")


def changed(store, **fields):
    return dataclasses.replace(store, **fields)


@pytest.mark.parametrize("cell", [CELL, OTHER, ChoiceCase("Ascend910B4", 49152, 2, "bf16")], ids=str)
def test_a_cell_comes_back_from_its_words(cell):
    parse = LayerCase.of if isinstance(cell, LayerCase) else lambda words: ChoiceCase(**words)
    assert parse(json.loads(json.dumps(cell.words))) == cell


def test_what_is_known_is_not_counted_again(store):
    asked = []
    store = changed(store, count=lambda cell: asked.append(cell) or dict(FOUND))
    store.known([CELL], quiet)
    with (store.folder / "Ascend910B3.jsonl").open("a") as file:
        file.write('{"cell": {"chip"')  # cut off by a crash
    both = store.known([CELL, OTHER], quiet)
    assert asked == [CELL, OTHER] and list(both) == asked and both[CELL] == FOUND
    assert {cell for cell, _, _ in store.stored()} == {CELL, OTHER}
    again = changed(store, digest=lambda chip: "changed")
    assert again.current() == {} and set(store.current()) == {CELL, OTHER}
    again.known([CELL], quiet)
    assert asked == [CELL, OTHER, CELL] and set(again.current()) == {CELL}
    assert set(again.latest()) == {CELL, OTHER}


def test_lines_of_another_clock_are_not_read(store):
    store.known([CELL, OTHER], quiet)
    path = store.folder / "Ascend910B3.jsonl"
    path.write_text(path.read_text().replace(f'"format":{FORMAT},', ""))
    assert set(store.latest()) == set(store.current()) == {OTHER}


def test_cells_are_signed_where_a_sample_has_the_same_figures(store):
    many = LayerCase("Ascend910B3", "Llama-2-7B", 16, Batch(64))
    store.known([CELL, many], quiet)
    after = changed(store, digest=lambda chip: "after-tables")
    other = changed(after, count=lambda cell: {"us": 2.0})
    ((chip, said),) = other.sign(2)
    assert (chip, said.valid, said.recounted, said.different) == (CELL.chip, 2, 1, (str(CELL),))
    assert {mark for _, mark, _ in store.stored()} == {"code-tables"}
    ((_, said),) = after.sign(2)
    assert not said.different and {mark for _, mark, _ in store.stored()} == {"after-tables"}
    ((_, said),) = after.sign(2)
    assert (said.valid, said.recounted) == (2, 0)


def test_cells_of_other_tables_are_not_signed(store):
    store.known([CELL], quiet)
    with pytest.raises(ValueError, match="other configurations than its cells were counted with"):
        list(changed(store, digest=lambda chip: "code-others").sign(1))
    assert {mark for _, mark, _ in store.stored()} == {"code-tables"}
