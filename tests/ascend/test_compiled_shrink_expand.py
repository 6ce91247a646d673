"""What the compiled ``bgmv_shrink_expand`` does besides what every kernel must: cores that share an item."""

import pytest

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand as spec
from cold_kernels.record import Record
from tests.ascend.test_compiled import Compiled
from tests.every_kernel import tensors

kernel = Compiled()


@pytest.mark.parametrize("share", (1, 2, 64))
@pytest.mark.parametrize("rows", (1, 3, 5, 9))
@pytest.mark.parametrize("order", (0, 1), ids=("any order", "ordered"))
def test_slices_of_unequal_sizes_however_many_cores_share_them(rows, share, order):
    args = tensors(spec, f"T={rows} L=3 H=70 S=3 R=8 D=700 M={order * (rows + 1)} starts=0/500/600 idx=0/-1/2")
    kernel.check(spec, args, config=Record(spec.default, SHARE=share, TILE=2048, TILE_A=4096), cores=7)


def test_a_shared_item_takes_less_time():
    args = tensors(spec, "T=2 L=2 H=256 S=1 R=16 D=8192")
    alone, shared = (
        kernel.launch(spec, args, Record(spec.default, SHARE=share, TILE_A=8192), cores=40)[0] for share in (1, 64)
    )
    assert shared.cycles < alone.cycles
