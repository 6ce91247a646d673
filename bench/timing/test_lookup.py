"""What finding a launch's configuration costs: read from the shipped table, chosen for a new shape, known already."""

import functools

import pytest

pytest.importorskip("triton")
from cold_kernels import tables
from cold_kernels.ascend.chips import DEFAULT_CHIP
from cold_kernels.cases import Case
from cold_kernels.devices import Device
from cold_kernels.launch import selection
from cold_kernels.specs import KERNELS, load

from .yardstick import python_loop

CORES = 40
TUNED = [name for name in KERNELS if tables.path_of(tables.SHIPPED, DEFAULT_CHIP, name).exists()]


def from_disk(spec, shape):
    tables.read.cache_clear()
    return tables.select(spec, shape, DEFAULT_CHIP)


def new_shape(spec, shape):
    return tables.select(spec, shape, DEFAULT_CHIP)


def known_shape(spec, shape):
    return selection(spec, shape, Device("cuda", DEFAULT_CHIP, CORES))


@pytest.mark.parametrize("how", [from_disk, new_shape, known_shape], ids=lambda how: how.__name__)
@pytest.mark.parametrize("name", TUNED)
def test_lookup(race, name, how, monkeypatch):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tables.SHIPPED))
    spec = load(name)
    shape = spec.key(Case.parse(spec.targets[0], spec).shape())
    found = how(spec, shape)
    assert found.reason.startswith("exact shape"), found.reason
    assert spec.allows(found.config, Case.parse(spec.targets[0], spec).shape())
    race(functools.partial(how, spec, shape), {"Python loop": python_loop})
    tables.read.cache_clear()
