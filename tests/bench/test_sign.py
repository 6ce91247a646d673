"""Tables that stay valid because their programs did not change, and those that do not."""

import dataclasses

import pytest

pytest.importorskip("triton")
from bench.sign import signed
from cold_kernels import tables
from cold_kernels.record import Record
from cold_kernels.tables import Entry, Table
from tests.tuner.fake_machine import fake_machine
from tests.tuner.tiny_spec import tiny_add

CHIP = "Ascend910B3"


@pytest.fixture
def path(tmp_path):
    """A valid table of two entries that say nothing of their programs."""
    entries = tuple(
        Entry(Record(N=size, dtype="fp32"), Record(TILE=tile, AUTO=True), "simulated")
        for size, tile in ((8192, 1024), (40000, 2048))
    )
    table = Table("tiny_add", CHIP, tables.source_digest(tiny_add), {"fake": "1"}, entries)
    return tables.write(tmp_path, tiny_add, table)


def changed(path, **fields):
    tables.save(path, tiny_add, dataclasses.replace(tables.load(path, tiny_add), **fields))


def sign(path):
    tables.read.cache_clear()
    return signed(tiny_add, fake_machine(CHIP), path.parents[1])


def test_a_valid_table_gets_the_digests_of_its_programs(path):
    assert str(sign(path)) == "2 entries valid, programs of 2 kept from now on"
    kept = [entry.programs for entry in tables.load(path, tiny_add).entries]
    assert all(kept) and len(set(kept)) == 2
    before = path.read_bytes()
    assert str(sign(path)) == "2 entries valid"
    assert path.read_bytes() == before


def test_another_text_with_the_same_programs(path):
    sign(path)
    valid = path.read_bytes()
    changed(path, source="what the kernel was before")
    with pytest.warns(UserWarning, match="another source"):
        assert not tables.read(tiny_add, CHIP, (path.parents[1],))
    assert str(sign(path)) == "2 entries signed"
    assert path.read_bytes() == valid


def test_another_program(path):
    sign(path)
    one, other = tables.load(path, tiny_add).entries
    changed(path, source="before", entries=(dataclasses.replace(one, programs="another"), other))
    before = path.read_bytes()
    found = sign(path)
    assert found.different == (f"{one.shape}: {one.config}",)
    assert "1 of 2 entries compile to another program; tune again" in str(found)
    assert path.read_bytes() == before


def test_what_was_judged_must_be_known(path):
    changed(path, source="before")
    with pytest.raises(ValueError, match="another text of tiny_add, and 2 entries do not say what was judged"):
        sign(path)
