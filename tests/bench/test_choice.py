"""The contrastive choice in the grid: rows as a model's, and what is counted of them."""

import math

import pytest
import torch

pytest.importorskip("triton")
pytest.importorskip("xdsl")
from bench.layers.choice_cases import ChoiceCase, count
from bench.layers.choice_rows import UsualRows
from bench.layers.on_chips import CHIPS, least_us
from cold_kernels.ascend.chips import chip_named
from cold_kernels.contrastive.score import contrastive_argmax


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_every_row_is_an_ordinary_one(rows):
    args = UsualRows(rows, 32000, "fp16").tensors(contrastive_argmax)
    assert args["expert"].shape == args["amateur"].shape == (rows, 32000) and args["choice"].shape == (rows,)
    assert (
        args["expert"].dtype == torch.float16 and args["expert"].isfinite().all() and args["amateur"].isfinite().all()
    )
    assert torch.allclose(args["log_alpha"].exp(), torch.tensor(0.1)) and (args["beta"] == 0.5).all()
    passing = args["expert"] >= args["expert"].amax(1, keepdim=True) + math.log(0.1)
    assert passing.sum(1).max() < 20  # and no row is all ties
    assert args["expert"].is_contiguous() and contrastive_argmax.shape_of(args)["B"] == rows


def test_what_is_counted(compiler):
    found = count(ChoiceCase("Ascend910B3", 32000, 2))
    assert len(found["device_us"]) == len(found["least_us"]) == 1 + CHIPS
    assert found["device_us"][0] == pytest.approx(sum(us for _, us in found["launches"]), abs=0.01)
    assert {launcher for launcher, _ in found["launches"]} == {"triton"}
    assert found["minimal"] >= 2 * 2 * 32000 and all(
        least < us for least, us in zip(found["least_us"], found["device_us"], strict=True)
    )


def test_floors_are_those_of_the_cores_in_use(compiler):
    class Run:
        def __init__(self, programs):
            self.execution = self
            self.programs = range(programs)

    chip = chip_named("Ascend910B3")
    few, many = (least_us([Run(programs)], 0, chip.name)[0] for programs in (1, 400))
    assert few == pytest.approx(chip.start_us(1), abs=1e-3)
    assert many == pytest.approx(chip.start_us(chip.vector_cores), abs=1e-3)
    both = least_us([Run(1), Run(400)], chip.hbm_bytes_per_second, chip.name)[0]
    assert both == pytest.approx(few + many + 1e6, abs=1e-2)
