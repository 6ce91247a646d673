"""Run by test_interpreter.py under TRITON_INTERPRET=1."""

import itertools

import pytest
import torch

from cold_kernels import bgmv_shrink
from cold_kernels.bgmv.shrink import bgmv_shrink as spec
from cold_kernels.cases import Case, errors
from cold_kernels.record import Record

DTYPES = ("fp16", "bf16", "fp32")


def tensors(text):
    return Case.parse(text, spec).tensors(spec)


def operator(args):
    bgmv_shrink(args["x"], args["a"], args["y"], args["idx"], args["scale"])
    return args["y"]


def launch(args, cores=3, **config):
    for call in spec.calls(args, Record(spec.default, **config), "interpreter", cores):
        call.run()
    return args["y"]


def test_the_kernel_is_interpreted():
    assert all(type(stage.kernel).__name__ == "InterpretedFunction" for stage in spec.stages)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", spec.hard)
def test_operator_over_hard_cases(case, dtype):
    args = tensors(f"{case} dtype={dtype}")
    operator(args)
    assert errors(spec, args)["y"] <= 1


@pytest.mark.parametrize("text", ["T=0", "T=3 H=0 R=2", "T=3 L=0 H=40 R=2 idx=none"])
def test_edges(text):
    args = tensors(text)
    operator(args)
    assert errors(spec, args)["y"] <= 1


CONFIGS = [
    (f"T=4 L=3 H=1100 R=5 idx=0/-1/2 strided dtype={dtype}", dict(TILE_H=tile, TILE_R=ranks, SPLIT_H=split))
    for dtype, split in itertools.product(DTYPES, (1, 2, 4))
    for tile, ranks in ((256, 1), (256, 8), (2048, 4))
    if (split - 1) * tile < 1100
]


@pytest.mark.parametrize("text, config", CONFIGS, ids=lambda item: str(item).replace(" ", "-"))
def test_configurations(text, config):
    args = tensors(text)
    launch(args, **config)
    assert errors(spec, args)["y"] <= 1


@pytest.mark.parametrize("split", [1, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_the_others(dtype, split):
    args = tensors(f"T=6 L=3 H=1100 R=5 idx=0/-1/2/2 dtype={dtype}")
    together = launch(args, TILE_H=256, SPLIT_H=split).clone()
    some = torch.tensor([5, 1, 3, 3])
    batch = args | dict(x=args["x"][some], idx=args["idx"][some], y=torch.full((4, 5), torch.nan))
    assert torch.equal(launch(batch, cores=7, TILE_H=256, SPLIT_H=split), together[some])


@pytest.mark.parametrize("split", [1, 2])
def test_an_index_past_the_last_slot_is_a_base_row_in_the_kernel(split):
    args = tensors("T=4 L=3 H=600 R=5 idx=0/-1/2")
    args["idx"][0], args["idx"][3] = 3, -2
    assert not launch(args, TILE_H=256, SPLIT_H=split)[[0, 1, 3]].any()
    assert errors(spec, args)["y"] <= 1


def test_the_operator_checks_indices_on_the_cpu():
    args = tensors("T=4 L=3 H=64 R=5")
    args["idx"][2] = 3
    with pytest.raises(IndexError, match="holds 3"):
        operator(args)
    assert args["y"].isnan().all()


def test_weights_and_output_of_any_stride():
    args = tensors("T=4 L=3 H=600 R=5 idx=0/-1/2")
    args["y"] = torch.full((5, 4), torch.nan).T
    args["a"] = args["a"].transpose(1, 2).contiguous().transpose(1, 2)
    args["x"] = args["x"].T.contiguous().T
    operator(args)
    assert errors(spec, args)["y"] <= 1
