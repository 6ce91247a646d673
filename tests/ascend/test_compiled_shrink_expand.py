"""What the compiled ``bgmv_shrink_expand`` does besides what every kernel must: shared items, and its two schemes."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.bgmv.shrink_expand import bgmv_shrink_expand as spec
from cold_kernels.record import Record
from tests.ascend.test_compiled import Compiled
from tests.every_kernel import bits, tensors

kernel = Compiled()


@pytest.mark.parametrize("share", (1, 2, 64))
@pytest.mark.parametrize("rows", (1, 3, 5, 9))
@pytest.mark.parametrize("order", (0, 1), ids=("any order", "ordered"))
def test_slices_of_unequal_sizes_however_many_cores_share_them(rows, share, order):
    args = tensors(spec, f"T={rows} L=3 H=70 S=3 R=8 D=700 M={order * (rows + 1)} starts=0/500/600 idx=0/-1/2")
    kernel.check(spec, args, config=Record(spec.default, SHARE=share, TILE=2048, TILE_A=4096), cores=7)


def both(text, cores=(3, 5), **choices):
    """The bits of one launch and of two."""
    found = []
    for scheme, count in zip(("fused", "apart"), cores, strict=True):
        args = tensors(spec, text)
        kernel.check(spec, args, config=Record(spec.default, SCHEME=scheme, **choices), cores=count)
        found.append(bits(args["y"]))
    return found


@pytest.mark.parametrize(
    "text, tile_a, span",
    [
        ("T=1 L=1 H=1 S=1 R=1 D=1 dtype=bf16", 8192, 16384),
        ("T=2 L=2 H=4096 S=1 R=16 D=100 M=3 dtype=fp16", 8192, 1024),
        ("T=3 L=2 H=2500 S=2 R=12 D=90 starts=0/50 idx=1/-1/0 strided dtype=bf16", 8192, 2048),
        ("T=2 L=2 H=1100 S=2 R=8 D=300 starts=0/100 dtype=fp32", 4096, 1024),  # one tile of a last span
        ("T=2 L=2 H=1100 S=2 R=8 D=300 starts=0/100 strided dtype=fp32", 4096, 1024),  # rows of b with gaps
        ("T=2 L=2 H=3100 S=1 R=20 D=70 add=0 dtype=fp32", 8192, 512),
        ("T=3 L=3 H=1000 S=1 R=64 D=200 M=4 dtype=fp32", 8192, 256),
        ("T=2 L=2 H=1300 S=2 R=128 D=90 starts=0/40 dtype=fp16", 16384, 256),
        ("T=1 L=1 H=576 S=1 R=100 D=90 dtype=bf16", 8192, 512),
        ("T=1 L=1 H=300 S=1 R=128 D=90 dtype=fp32", 8192, 256),
    ],
)
def test_one_launch_and_two_have_the_same_bits(text, tile_a, span):
    once, twice = both(text, TILE_A=tile_a, SPAN=span, TILE=4096)
    assert torch.equal(once, twice)


def test_few_rows_apart_and_many_at_once_have_the_same_bits():
    """By the defaults, which decide by the number of rows."""
    sizes = "L=20 H=1700 S=1 R=128 D=70 idx=7/0/3/-1/19 dtype=bf16"
    many, few = tensors(spec, f"T=20 {sizes}"), tensors(spec, f"T=4 {sizes}")
    of_many, of_few = (spec.default_for(spec.shape_of(args)) for args in (many, few))
    assert (of_many.SCHEME, of_few.SCHEME) == ("fused", "apart")
    for name in ("a", "b"):
        few[name] = many[name]
    for name in ("x", "y", "y_before"):
        few[name] = many[name][:4].clone()
    kernel.check(spec, few, cores=7)
    kernel.check(spec, many, cores=7)
    assert torch.equal(bits(few["y"]), bits(many["y"][:4]))


def test_two_launches_take_less_time_at_a_high_rank():
    args = tensors(spec, "T=1 L=1 H=4096 S=1 R=64 D=4096")
    once, twice = (
        sum(part.microseconds for part in kernel.launch(spec, args, Record(spec.default_for(shape), SCHEME=scheme), 40))
        for shape in (spec.shape_of(args),)
        for scheme in ("fused", "apart")
    )
    assert twice < once


def test_a_shared_item_takes_less_time():
    args = tensors(spec, "T=2 L=2 H=256 S=1 R=16 D=8192")
    alone, shared = (
        kernel.launch(spec, args, Record(spec.default, SHARE=share, TILE_A=8192), cores=40)[0] for share in (1, 64)
    )
    assert shared.cycles < alone.cycles
