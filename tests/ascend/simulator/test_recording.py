"""What is kept between equal accesses says the same as what is found anew, and large copies are put back."""

import gc

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
import numpy as np

from cold_kernels.ascend.simulator.core.memory import BIT, Allocation, MemRef
from cold_kernels.ascend.simulator.core.regions import Region, region
from cold_kernels.ascend.simulator.dialects.memref import element_of, elements
from cold_kernels.ascend.simulator.dialects.reductions import fold
from cold_kernels.ascend.simulator.hazards import buffer, undo
from cold_kernels.ascend.simulator.hazards.buffer import races
from cold_kernels.ascend.simulator.hazards.hazard import Found
from cold_kernels.ascend.simulator.hazards.order import Moment
from cold_kernels.ascend.simulator.hazards.recorder import Local
from cold_kernels.ascend.simulator.hazards.undo import Undo

PIPES = {0: "S", 1: "V", 2: "MTE2"}


def allocation(local, size=4096):
    return Allocation("the buffer at 0", np.zeros(size, np.uint8), 0, size, local)


def test_an_element_of_a_fixed_buffer_is_made_once():
    fixed = MemRef(allocation(True), 8, (4, 16), (16, 1), np.dtype(np.float32), fixed=True)
    moving = MemRef(allocation(False), 8, (4, 16), (16, 1), np.dtype(np.float32), fixed=True)
    element = elements()
    assert element(fixed, 1, 2) is element(fixed, 1, 2) and element(fixed, 1, 2) is not element(fixed, 1, 3)
    assert element(moving, 1, 2) is not element(moving, 1, 2)
    for ref in (fixed, moving):
        assert element(ref, 1, 2).address == element_of(ref, (1, 2)).address == (8 + 18) * 4


def test_the_region_of_a_dense_row_is_that_of_its_bytes():
    memory = allocation(True)
    for ref in (
        MemRef(memory, 3, (5,), (1,), np.dtype(np.int16)),
        MemRef(memory, 3, (1, 5), (9, 1), np.dtype(np.int16)),
    ):
        found = region(ref)
        assert (found.start, found.run, found.end, found.shape, found.strides) == (6, 10, 16, (), ())


@pytest.mark.parametrize("ordered", [True, False])
def test_a_race_with_an_access_of_long_ago_is_found(ordered):
    """Of far more than are kept before it is looked for those that are over: the first write is still under way."""
    memory, writes, many = allocation(True), [], 3 * buffer.MANY
    for place in range(many):
        writes.append(Local(place, f"write {place}", (), (Region(memory, place * 8, 8),)))
    read = Local(many, "read", (Region(memory, 0, 8),), ())
    moments = {place: Moment(1, place, (0, 0, 0)) for place in range(many)}
    moments[many] = Moment(2, 0, (0, 1 if ordered else 0, 0))
    found = Found()
    races([*writes, read], moments, found, 0, PIPES)
    assert len(found.all()) == (not ordered)


@pytest.mark.parametrize("room", [64, 1 << 20])
def test_what_was_written_is_put_back(monkeypatch, room):
    """Copies of more bytes than one piece of memory has, larger ones, and rows that lie apart."""
    monkeypatch.setattr(undo, "ROOM", room)
    memory = allocation(False)
    memory.data[...] = np.arange(4096) % 251
    before, kept = memory.data.copy(), Undo()
    for place, where in enumerate(
        [*(Region(memory, 40 * n, 40) for n in range(9)), Region(memory, 7, 3, (5,), (100,))]
    ):
        first = kept.keep([where])
        where.of(memory.data)[...] = 200 + place
        (changed,) = kept.changes(first)
        assert changed.shape == where.of(memory.data).shape and changed.any()
    kept.back()
    assert np.array_equal(memory.data, before)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
@pytest.mark.parametrize("function", [np.add, np.multiply, np.maximum, np.bitwise_xor])
def test_integers_fold_as_in_pairs(dtype, function):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(1).integers(limits.min, limits.max, (3, 77, 2), dtype)
    one_by_one = values[:, :1]
    for place in range(1, 77):
        one_by_one = function(one_by_one, values[:, place : place + 1])
    folded = fold(function, values, 1, 64)
    assert folded.dtype == dtype and np.array_equal(folded, one_by_one)


@pytest.mark.parametrize("value", [True, np.bool_(False), np.array([True]), np.array([[0.0]]), np.float32("nan")])
def test_a_single_bit_fills_its_byte(value):
    memory = allocation(True)
    memory.data[...] = 0xFF
    MemRef(memory, 16, (1,), (1,), BIT).write(value)
    assert memory.data[2] == bool(value) and memory.data[1] == memory.data[3] == 0xFF


def test_garbage_is_looked_for_again_after_a_launch():
    from cold_kernels.ascend.simulator.execute.launch import GridLaunch
    from tests.ascend.simulator.programs import hand_written

    launch = GridLaunch(hand_written(""), (1,))
    with launch.held():
        assert not gc.isenabled()
    assert gc.isenabled()
