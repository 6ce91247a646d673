"""A row has the same bits alone, among 7 rows and among 255, whichever cores share the work."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from tests.ascend.test_compiled import Compiled
from tests.every_kernel import SPECS, bits, some_rows, tensors

CASES = {
    "bgmv_shrink": "T=255 L=9 H=600 R=12",
    "bgmv_expand": "T=255 L=9 H=300 R=16",
    "bgmv_shrink_expand": "T=255 L=9 H=600 S=2 R=16 D=300 M=256 starts=0/200",
    "bgmv_shrink_expand_cube": "T=255 L=9 H=600 S=2 R=20 D=300 N=256 starts=0/200",
    "contrastive_argmax": "B=255 V=700",
}


@pytest.mark.parametrize("name", CASES)
def test_alone_among_7_and_among_255(name):
    spec = SPECS[name]
    words = f"{CASES[name]} idx=0/-1/3/last/1" if name.startswith("bgmv") else CASES[name]
    args = tensors(spec, words)
    Compiled().check(spec, args, cores=40)
    row = 130
    for rows in ([row], [row, 1, 8, 3, 254, 17, 40], [7, 1, 8, 3, 254, 17, row]):
        some = torch.tensor(rows)
        batch = some_rows(spec, args, some)
        Compiled().launch(spec, batch, cores=40)
        for output in spec.outputs:
            assert torch.equal(bits(batch[output]), bits(args[output][some]))


@pytest.mark.parametrize("slot", (2, 2**31 + 1, 2**32, 2**40 + 1))
def test_a_slot_past_the_last_in_a_tile_is_a_base_row(slot):
    spec = SPECS["bgmv_shrink_expand_cube"]
    args = tensors(spec, "T=5 L=2 H=64 S=1 R=16 D=40 N=6")
    args["idx"][:] = torch.tensor([0, slot, slot, 1, 1])
    args["tiles"] = spec.operands["tiles"].derive(args)
    Compiled().check(spec, args, cores=40)
    assert torch.equal(args["y"][1:3], args["y_before"][1:3])


def test_an_infinity_in_a_tile_stays_in_its_row():
    spec = SPECS["bgmv_shrink_expand_cube"]
    args = tensors(spec, "T=5 L=1 H=70 S=1 R=12 D=40 N=6")
    for name in ("a", "b", "x"):
        args[name].abs_()
    args["x"][2, 3] = torch.inf
    Compiled().check(spec, args, cores=40)
    assert args["y"][2].isposinf().all() and args["y"][[0, 1, 3, 4]].isfinite().all()


def test_cube_rows_alone_and_in_tiles_of_16_and_of_64():
    """Rows of one adapter that follow one another are multiplied together; their bits are those of a row alone."""
    spec = SPECS["bgmv_shrink_expand_cube"]
    args = tensors(spec, "T=300 L=2 H=520 S=1 R=64 D=200 N=301")
    args["idx"][:] = torch.arange(300) // 150
    args["tiles"] = spec.operands["tiles"].derive(args)
    Compiled().check(spec, args, cores=40)
    for rows in ([149], [150], [0, 299, 131], list(range(140, 160)), list(range(60, 200))):
        some = torch.tensor(rows)
        batch = some_rows(spec, args, some)
        Compiled().launch(spec, batch, cores=40)
        assert torch.equal(bits(batch["y"]), bits(args["y"][some]))
