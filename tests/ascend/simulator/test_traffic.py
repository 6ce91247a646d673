"""Global memory: whose turn it is, what the second-level cache has, what a burst beyond its line moves; bank groups."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from cold_kernels.ascend.chips import L2_BYTES, chip_named
from cold_kernels.ascend.simulator.core.memory import Allocation, MemRef
from cold_kernels.ascend.simulator.dialects.copies import Reads, _beyond
from cold_kernels.ascend.simulator.execute.launch import unique_bytes
from cold_kernels.ascend.simulator.execute.translate import Core
from cold_kernels.ascend.simulator.timing.cores import placed, traffic
from cold_kernels.ascend.simulator.timing.timeline import Share
from cold_kernels.ascend.simulator.trace.execution import Execution
from cold_kernels.ascend.simulator.trace.movement_costs import transpose_work
from cold_kernels.ascend.simulator.trace.operands import operand
from cold_kernels.ascend.simulator.trace.vector_costs import elementwise_work
from tests.ascend.simulator.layouts import dense

CHIP = chip_named("Ascend910B3")
HBM, L2 = CHIP.hbm_bytes_per_second, CHIP.l2_bytes_per_second


def test_who_asks_earlier_is_served_earlier():
    share = Share()
    assert share.take(100, 50, 0) == 150
    assert share.take(0, 80, 0) == 80  # issued later, and over before the other begins
    assert share.take(60, 40, 0) == 170  # 80 to 100, then behind the first
    assert share.take(300, 10, 200) == 310
    assert share.take(250, 60, 200) == 320


def test_all_that_is_asked_is_served():
    share, asked = Share(), [(7 * n % 40, n % 5 + 1) for n in range(30)]
    last = max(share.take(start, amount, 0) for start, amount in asked)
    assert last >= sum(amount for _, amount in asked)


def launch(read, written, unique):
    return Execution(((),), (0,), (read + written,), read, written, unique, 0)


def test_what_is_read_once_comes_from_global_memory():
    assert traffic(launch(10**6, 0, 10**6), CHIP) == (pytest.approx(HBM), 0)


def test_what_is_read_again_comes_from_the_cache():
    rate, hits = traffic(launch(4 * 10**6, 0, 10**6), CHIP)
    assert hits == 0.75 and rate == pytest.approx(4 / (1 / HBM + 3 / L2))


def test_what_is_written_is_kept_while_it_fits():
    few, _ = traffic(launch(0, 10**6, 0), CHIP)
    many, _ = traffic(launch(0, 2 * L2_BYTES, 0), CHIP)
    assert few == pytest.approx(L2) and many == pytest.approx(2 / (1 / HBM + 1 / L2))
    small = replace(CHIP, l2_bytes=L2_BYTES // 2)
    assert traffic(launch(L2_BYTES // 2, L2_BYTES // 2, L2_BYTES // 2), small)[0] < HBM * 2
    assert traffic(launch(0, 0, 0), CHIP) == (HBM, 0)


def test_cores_share_global_memory_by_what_they_copy():
    def share(*moved):
        execution = replace(launch(10**6, 0, 10**6), traces=((),) * len(moved), programs=tuple(range(len(moved))))
        return HBM / CHIP.frequency / placed(replace(execution, moved=moved), CHIP)[0][0].costs[0].memory_rate

    assert share(1000, 1000, 1000, 1000) == pytest.approx(4)
    assert share(1000, 250, 0, 0) == pytest.approx(1.25)
    assert share(0, 0) == 1


@pytest.mark.parametrize(
    "programs, own, times", [(2, True, 1), (48, True, 2), (48, False, 1)], ids=("fits", "does not", "the same for all")
)
def test_reading_again_what_the_cache_cannot_hold(programs, own, times):
    core, size = Core(), L2_BYTES // 72
    core.begin(programs, False)
    reads = Reads(core)
    for program in range(programs):
        core.start(program)
        for place in "abcabc":
            reads.note((place, program * own), size)
    assert core.bytes_read == programs * 6 * size
    assert unique_bytes([core]) == times * 3 * size * (programs if own else 1)


@pytest.mark.parametrize(
    "rows, length, start, step, moved",
    [
        (1, 4000, 0, 0, 4000),  # from a line's start
        (1, 128, 256, 0, 128),  # within a line
        (1, 128, 448, 0, 256),  # across an end
        (1, 2048, 2, 0, 5 * 512),
        (64, 512, 2, 0, 64 * 1024),
        (4, 64, 0, 128, 4 * 64),
        (512, 2048, 0, 510, 5 * 512 * 512 - 2 * 512),  # every other phase; the first one is a line's start
    ],
)
def test_bursts_that_do_not_start_with_a_line(rows, length, start, step, moved):
    assert rows * length + _beyond(rows, length, start, step) == pytest.approx(moved, rel=1e-3)


def vector(address):
    memory = Allocation("the unified buffer", np.zeros(64 * 1024, np.uint8), 0, 64 * 1024, True)
    return MemRef(memory, address // 4, (1024,), (1,), np.dtype(np.float32))


@pytest.mark.parametrize(
    "second, name", [(4096, "repeat_binary"), (4096 + 256, "repeat_unary"), (4128, "repeat_binary")]
)
def test_sources_in_the_same_bank_groups_are_read_one_after_the_other(second, name):
    job = elementwise_work(tuple(map(operand, (vector(0), vector(second), vector(16384)))), "repeat_binary")
    assert dict(job.counts) == {"vector_issue": 1, name: 16}


def rows_of(address, width, rows=32):
    memory = Allocation("the unified buffer", np.zeros(64 * 1024, np.uint8), 0, 64 * 1024, True)
    return MemRef(memory, address // 4, (rows, width), (width, 1), np.dtype(np.float32))


@pytest.mark.parametrize(
    "width, second, unary, binary",
    [
        (64, 16384, 16, 16),  # rows of 8 blocks: every other one meets the broadcast row
        (64, 16384 + 256, 16, 16),
        (64, 16384 + 128, 0, 32),  # half a row off, whichever row
        (128, 16384, 0, 64),
        (128, 16384 + 256, 64, 0),
        (8, 16384, 2, 30),
    ],
)
def test_rows_beside_a_broadcast_row_meet_it_by_their_own_addresses(width, second, unary, binary):
    target = rows_of(32768, width)
    job = elementwise_work(
        tuple(map(operand, (rows_of(0, width), rows_of(second, width, rows=1), target))), "repeat_binary"
    )
    counts = dict(job.counts)
    assert (counts.get("repeat_unary", 0), counts.get("repeat_binary", 0)) == (unary, binary)


def test_one_source_is_read_at_once():
    job = elementwise_work((operand(vector(0)), operand(vector(16384))), "repeat_binary")
    assert dict(job.counts) == {"vector_issue": 1, "repeat_unary": 16}


def test_a_transpose_of_whole_rows_copies_them():
    copied = transpose_work((dense(128, 8, 16, size=2), dense(8, 128, 16, size=2)), (1, 0, 2))
    assert dict(copied.counts) == {"vector_issue": 8, "repeat_unary": 1024}
    placed = transpose_work((dense(128, 8, 12, size=2), dense(8, 128, 12, size=2)), (1, 0, 2))
    assert placed.blocks and placed.fallback == "unaligned rows"  # the scalar unit places what is no whole block
    assert (
        dict(transpose_work((dense(64, 128, size=2), dense(128, 64, size=2)), (1, 0)).counts)["repeat_gather"] == 2 * 64
    )
