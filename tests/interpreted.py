"""Run by test_interpreter.py under TRITON_INTERPRET=1: every registered kernel, and what only this path shows."""

import itertools
import os

import pytest
import torch
import triton

from cold_kernels import bgmv_expand, bgmv_shrink
from cold_kernels.bgmv.expand import bgmv_expand as expand
from cold_kernels.bgmv.shrink import bgmv_shrink as shrink
from cold_kernels.devices import Device
from cold_kernels.launch import run
from cold_kernels.record import Record
from tests.every_kernel import SPECS, EveryKernel, bits, extreme_configs, for_each, some_rows, tensors

DTYPES = ("fp16", "bf16", "fp32")


class Interpreted(EveryKernel):
    def run(self, spec, args, config, cores):
        run(spec, args, config, Device("interpreter", "interpreter", cores))


class TestInterpreted(Interpreted):
    @for_each("text, configs, dtype", lambda spec: extreme_configs(spec, "interpreter"))
    def test_extreme_configurations(self, spec, text, configs, dtype):
        self.check(spec, tensors(spec, f"{text} dtype={dtype}"), config=configs[0])


def test_triton_is_the_expected_one():
    imported = f"{triton.__version__} {triton.__file__}"
    assert imported == os.environ.get("INTERPRETED_TRITON", imported)  # not set by who runs this file by hand


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_kernel_is_interpreted(spec):
    assert all(type(stage.kernel).__name__ == "InterpretedFunction" for stage in spec.stages)


CONFIGS = [
    (f"T=4 L=3 H=1100 R=5 idx=0/-1/2 strided dtype={dtype}", dict(TILE_H=tile, TILE_R=ranks, SPLIT_H=split))
    for dtype, split in itertools.product(DTYPES, (1, 2, 4))
    for tile, ranks in ((256, 1), (256, 8), (2048, 4))
    if (split - 1) * tile < 1100
]


@pytest.mark.parametrize("text, config", CONFIGS, ids=lambda item: str(item).replace(" ", "-"))
def test_shrink_in_parts(text, config):
    config = Record(shrink.default, **config)
    args = tensors(shrink, text)
    Interpreted().check(shrink, args, config=config)
    batch = some_rows(shrink, args, torch.tensor([3, 1, 2, 2]))
    Interpreted().launch(shrink, batch, config, cores=7)
    assert torch.equal(batch["y"], args["y"][[3, 1, 2, 2]])


@pytest.mark.parametrize("spec", [shrink, expand], ids=["shrink", "expand"])
def test_more_rows_than_a_launch_counts(spec, monkeypatch):
    args = tensors(spec, "T=7 L=3 H=40 R=5 idx=0/-1/2")

    def operate(y):
        if spec is shrink:
            bgmv_shrink(args["x"], args["a"], y, args["idx"])
        else:
            bgmv_expand(args["x"], args["b"], y, args["idx"])
        return y

    launched = []

    def recorded(spec, args, *how):
        launched.append(len(args["y"]))
        run(spec, args, *how)

    monkeypatch.setattr("cold_kernels.launch.run", recorded)
    together = operate(args["y"].clone())
    monkeypatch.setattr("cold_kernels.ops.run.MAX_ITEMS", {shrink: 80, expand: 35}[spec])
    in_parts = operate(args["y"].clone())
    assert torch.equal(together, in_parts)
    assert launched == ([7, 2, 2, 2, 1] if spec is shrink else [7, 3, 3, 1])


def test_nan_of_any_bits_stay_as_they_are():
    args = tensors(expand, "T=3 L=2 H=33 R=4 dtype=bf16 idx=-1/0")
    args["y"][:, ::2] = torch.tensor(0x7F81, dtype=torch.int16).view(torch.bfloat16)
    before = args["y"].clone()
    bgmv_expand(args["x"], args["b"], args["y"], args["idx"])
    assert torch.equal(bits(args["y"][::2]), bits(before[::2]))
    assert args["y"][1, ::2].isnan().all() and not args["y"][1, 1::2].isnan().any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", (3, 8, 16, 64))
def test_one_launch_and_two_have_the_same_bits(rank, dtype):
    spec, found = SPECS["bgmv_shrink_expand"], []
    for scheme in ("fused", "apart"):
        args = tensors(spec, f"T=3 L=2 H=2100 S=2 R={rank} D=70 starts=0/30 idx=1/-1/0 dtype={dtype}")
        config = Record(spec.default, SCHEME=scheme, TILE_A=8192 if rank > 16 else 4096, SPAN=1024)
        Interpreted().check(spec, args, config=config)
        found.append(bits(args["y"]))
    assert torch.equal(*found)
