"""What the exact gate counts, and that it counts the same each time."""

import dataclasses
import os
from collections import Counter

import pytest
import torch

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.exact.cases import cells
from cold_kernels import tables
from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.cases import Case
from cold_kernels.specs import KERNELS, load
from tests.specs import copies
from tuner.gate.cells import CountedCase, WrongResult, counted


def cell(text, spec=copies, checked=True):
    return CountedCase(spec, Case.parse(text, spec), DEFAULT_CHIP, spec.default, checked)


def test_every_kernel_on_its_typical_case_and_its_targets():
    found = Counter(cell.spec.name for cell in cells())
    for name in KERNELS:
        spec = load(name)
        assert found.pop(name) == len({str(Case.parse(text, spec)) for text in ("", *spec.targets)})
    assert not found


def test_the_smallest_case_of_each_configuration_is_checked():
    found = cells(kernels=["bgmv_shrink"])
    assert {cell.config for cell in found} == {cell.config for cell in found if cell.checked}
    assert len({cell.config for cell in found}) == sum(cell.checked for cell in found) < len(found)


def test_tables_of_the_user_do_not_count(tmp_path, monkeypatch):
    spec = load("bgmv_shrink")
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    shipped = cells(kernels=[spec.name])
    (table, _), *_ = tables.read(spec, DEFAULT_CHIP)
    mine = [dataclasses.replace(entry, config=spec.default) for entry in table.entries]
    tables.write(tmp_path, spec, dataclasses.replace(table, entries=tuple(mine)))
    assert [cell.config for cell in cells(kernels=[spec.name])] == [cell.config for cell in shipped]
    assert tables.select(spec, shipped[0].case.shape(), DEFAULT_CHIP).config == spec.default
    assert os.environ["COLD_KERNELS_TABLES"] == str(tmp_path)


def test_facts_do_not_depend_on_what_was_counted_before(compiler):
    first, other = cell("N=4 M=8"), cell("N=50 M=8")
    facts = counted(first)
    assert (facts["launches"], facts["programs"], facts["copies"]) == (1, 4, 8)
    more = counted(other)
    assert more["programs"] == 40 and more["copies"] == 100
    assert counted(first) == facts and counted(other) == more
    assert counted(dataclasses.replace(first, checked=False)) == facts


def test_nothing_is_counted_of_a_wrong_result(compiler):
    wrong = dataclasses.replace(copies, reference=lambda x, s, **_: {"y": torch.zeros_like(x.double())})
    with pytest.raises(WrongResult, match="copy_rows N=4 .* times the allowed error off float64"):
        counted(cell("N=4 M=8", wrong))
