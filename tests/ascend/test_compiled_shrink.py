"""What the compiled ``bgmv_shrink`` does besides what every kernel must: sums in parts, base rows for nothing."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.bgmv.shrink import bgmv_shrink as spec
from cold_kernels.record import Record
from tests.ascend.test_compiled import Compiled
from tests.every_kernel import some_rows, tensors

DTYPES = ("fp16", "bf16", "fp32")
CORES = 40

kernel = Compiled()


def check(args, **config):
    kernel.check(spec, args, config=Record(spec.default, **config), cores=CORES)


CONFIGS = [
    *(("fp16", dict(TILE_H=512, DEPTH=depth)) for depth in (1, 2, 3, 4)),
    *(("fp16", dict(TILE_H=512, TILE_R=ranks)) for ranks in (1, 2, 8, 16)),
    *((dtype, dict(TILE_H=256, SPLIT_H=4)) for dtype in DTYPES),
    ("bf16", dict(TILE_H=512, AUTO=False, DEPTH=1)),
    ("fp32", dict(TILE_H=256, SPLIT_H=2, AUTO=False, DEPTH=3, TILE_R=16)),
    ("fp16", dict(TILE_H=2048, TILE_R=1, DEPTH=1)),
]


@pytest.mark.parametrize("dtype, config", CONFIGS, ids=lambda item: str(item).replace(" ", ""))
def test_configurations(dtype, config):
    check(tensors(spec, f"T=6 L=3 H=1100 R=12 idx=0/-1/2/1 strided dtype={dtype}"), **config)


def test_an_index_past_the_last_slot_in_parts():
    args = tensors(spec, "T=5 L=3 H=1100 R=12")
    args["idx"] = torch.tensor([0, 3, 2, -2, 1 << 40])
    check(args, TILE_H=256, SPLIT_H=4)
    assert not args["y"][[1, 3, 4]].any()


@settings(deadline=None, max_examples=6)
@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_a_row_in_parts_does_not_depend_on_the_others(data, dtype):
    rows = data.draw(st.integers(2, 9))
    args = tensors(spec, f"T={rows} L=3 H=1100 R=12 dtype={dtype}", seed=data.draw(st.integers(0, 99)))
    args["idx"] = torch.tensor(data.draw(st.lists(st.integers(-1, 2), min_size=rows, max_size=rows)))
    config = dict(TILE_H=256, SPLIT_H=4)
    check(args, **config)
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=2, max_size=9)))
    batch = some_rows(spec, args, some)
    kernel.launch(spec, batch, Record(spec.default, **config), cores=data.draw(st.sampled_from([1, 3, 40])))
    assert torch.equal(batch["y"], args["y"][some])


def test_base_rows_read_no_weights():
    cases = (tensors(spec, f"T=8 L=4 H=4096 R=16 idx={idx}") for idx in ("all", "none"))
    busy, idle = (kernel.launch(spec, args, cores=CORES)[0] for args in cases)
    assert idle.bytes_read == 0 and idle.bytes_written == busy.bytes_written == 8 * 16 * 4
    assert busy.bytes_read >= 8 * 16 * 4096 * 2 and idle.cycles < busy.cycles
