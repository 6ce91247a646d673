from dataclasses import replace

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import CompileOptions, compile_kernel, simulate
from cold_kernels.fidelity import one_core_per_token
from cold_kernels.fidelity.anchor import EXPAND, MODULES, SHRINK
from cold_kernels.fidelity.published import LEFT_OUT, ROWS, Clock, ascendc, matmul

BY_NAME = {row.name: row for row in ROWS}
QUICK = (
    "gate H=16 B=1",
    "gate H=16 B=65536",
    "accept by request MTP=2 B=256",
    "accept by core MTP=1 B=1024",
    "slots before N=2 T=4",
    "DataCopy 64 x 2 KB",
    "DataCopy 64 x 2 KB, rows of 12287",
    "DataCopy 64 x 128 B",
    "ND to NZ 8192 x 8192",
    "Add 4096 fp32 a thousand times, sources in the same banks",
)


def run(kernel, constants, args, grid, multi_buffer=False, signature=None):
    signature = signature or kernel.signature
    options = CompileOptions(multi_buffer=multi_buffer)
    return simulate(
        compile_kernel(getattr(kernel, "function", kernel), signature, constants, options=options), args, grid
    )


def test_every_row_says_what_it_is():
    assert len(BY_NAME) == len(ROWS)
    for row in ROWS:
        assert row.published_us > 0 and row.source and isinstance(row.clock, Clock) and 0 < row.weight <= 1
        assert row.kernel.does
    assert all(LEFT_OUT.values())


def test_there_are_many_rows_of_many_kernels():
    assert len(ROWS) >= 75 and len({row.kernel.name for row in ROWS}) >= 9


def test_a_row_without_chip_or_clock_counts_less():
    names = "DataCopy 64 x 2 KB", "gate H=16 B=1", "accept by core MTP=1 B=32", "slots after N=2 T=4"
    assert [BY_NAME[name].weight for name in names] == [1, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("kernel", {row.kernel.name: row for row in ROWS})
def test_a_row_of_each_kernel_has_its_kernels_arguments(kernel):
    row = min((row for row in ROWS if row.kernel.name == kernel), key=lambda row: row.published_us)
    assert len(row.arguments()) == len(row.kernel.signature)


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_row_is_near(name):
    row = BY_NAME[name]
    assert row.comparable and 1 / 1.25 < row.predicted_us(row.simulated()) / row.published_us < 1.25


def test_one_program_tells_the_time_of_all():
    found = BY_NAME["DataCopy 64 x 2 KB"].simulated()
    assert found.bytes_read == 48 * 256 * 12288 * 2 == found.execution.unique_bytes
    assert set(found.execution.programs) == {0} and len(found.execution.programs) == 48


def test_few_programs_tell_the_time_of_all():
    row = BY_NAME["gate H=16 B=4096"]  # 32 programs of 48 have rows, all of them two tiles
    whole = row.simulated()
    few = replace(row, alike={0: 32, 32: 16}).simulated()
    assert few.microseconds == pytest.approx(whole.microseconds, rel=0.01)
    assert (few.bytes_read, few.bytes_written) == (whole.bytes_read, whole.bytes_written)


def test_what_is_launched_again_is_in_the_cache_unless_other_work_comes_between():
    row = BY_NAME["norm row [1, 1152]"]
    warm, cold = row.simulated(), replace(row, cold=True).simulated()
    assert warm.execution.unique_bytes == 0 < cold.execution.unique_bytes
    assert cold.microseconds > warm.microseconds


def test_other_clocks_and_other_compilers_are_not_compared():
    assert not BY_NAME["slots after N=2 T=4"].comparable
    assert not BY_NAME["swiglu step 910C [64, 1280]"].comparable
    assert sum(row.comparable for row in ROWS) >= 150


@pytest.mark.parametrize("rows, programs, tile", [(7, 3, 64), (4, 4, 256)])
def test_add(rows, programs, tile):
    x, y = torch.randn(rows, 128).half(), torch.randn(rows, 128).half()
    z = torch.full_like(x, torch.nan)
    run(ascendc.ADDING, dict(COLUMNS=128, TILE=tile), [x, y, z, rows], (programs,))
    assert torch.equal(z, x + y)


def test_reads_do_read():
    x, y = torch.randn(8 * 64).half(), torch.zeros(4 * 32).half()
    constants = dict(ROWS=4, COLUMNS=64, TILE_M=4, TILE_N=32, PARTS=2, TIMES=1, BUFFERS=1)
    run(ascendc.READING, constants, [x, y, 1], (2,))
    assert torch.equal(y.view(4, 32), x.view(8, 64)[4:, 32:])  # the last tile of the last program
    y = torch.zeros(8 * 16).half()
    run(ascendc.READING_SMALL, dict(ROWS=4, COLUMNS=64, TILE=16, BUFFERS=2), [x, y, 1], (2,), True)
    assert torch.equal(y, x[-8 * 16 :])


def test_to_fractals():
    x = torch.randn(64, 256).half()
    z = torch.full((64 * 256,), torch.nan).half()
    run(ascendc.FRACTALS_OF, dict(ROWS=64, COLUMNS=256, TILES=2, TILE_M=16, TILE_N=32), [x, z], (16,))
    assert torch.equal(z.view(16, 64, 16), x.view(64, 16, 16).permute(1, 0, 2))


@pytest.mark.parametrize("hidden, tile", [(96, 128), (300, 128)])
def test_one_core_per_token(hidden, tile):
    x, a, b = torch.randn(3, hidden).half(), torch.randn(2, 64, hidden).half(), torch.randn(2, hidden, 64).half()
    low, y, idx = torch.full((3, 64), 7.0), torch.zeros(3, hidden).half(), torch.tensor([1, -1, 0])
    strides = [hidden, 64 * hidden, hidden, 64]
    args = [x, a, low, idx, 0.5, *strides]
    run(one_core_per_token.shrink, dict(H=hidden, R=64, TILE=tile), args, (3,), signature=SHRINK)
    used = idx >= 0
    wanted = 0.5 * torch.einsum("th,trh->tr", x.float(), a[idx.clamp(min=0)].float())
    assert torch.allclose(low[used], wanted[used], atol=1e-3) and (low[~used] == 7).all()
    args = [b, low, y, idx, hidden * 64, 64, 64, hidden]
    run(one_core_per_token.expand, dict(H=hidden, R=64, TILE=1024), args, (3,), signature=EXPAND)
    wanted = torch.einsum("tr,thr->th", low, b[idx.clamp(min=0)].float())
    assert torch.allclose(y[used].float(), wanted[used], rtol=2e-3, atol=1e-1) and not y[~used].any()


def test_the_anchor_has_seven_modules():
    assert len(MODULES) == 7 and MODULES[-1] == (18944, 3584)


CUBE = [row for row in ROWS if row.cube]


@pytest.mark.parametrize("row", [row for row in CUBE if row.programs <= 64], ids=lambda row: row.name)
def test_a_matrix_product_is_near(row):
    assert not row.comparable and 1 / 1.3 < row.predicted_us(row.simulated()) / row.published_us < 1.3


def test_the_tile_of_a_matrix_product_is_the_one_whose_launch_is_shortest():
    tiles = {(128, 64, 2048): (matmul.SMALL, matmul.LARGE), (128, 256, 2048): (matmul.LARGE, matmul.SMALL)}
    for shape, (chosen, other) in tiles.items():
        (row,) = [row for row in CUBE if tuple(row.constants[name] for name in "MNK") == shape]
        assert {name: row.constants[name] for name in chosen} == chosen
        slower = matmul._row(matmul.MM, *shape, other, 1.0, 2, name="", clock=Clock.GRAPH, chip=row.chip, source="")
        assert slower.simulated().cycles > row.simulated().cycles


def test_no_compiled_product_is_faster_than_one_written_by_hand():
    row = BY_NAME["bound 1536 cubed"]
    assert row.predicted_us(row.simulated()) > 0.95 * row.published_us and not row.comparable
