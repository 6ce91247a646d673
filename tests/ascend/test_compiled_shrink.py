"""The compiled ``bgmv_shrink`` against float64."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)
pytest.importorskip("hypothesis")

import functools

from hypothesis import given, settings
from hypothesis import strategies as st

from cold_kernels.ascend import CompileOptions, compile_kernel, simulate
from cold_kernels.bgmv.shrink import bgmv_shrink as spec
from cold_kernels.cases import Case, errors
from cold_kernels.record import Record
from cold_kernels.tables import default

DTYPES = ("fp16", "bf16", "fp32")
CORES = 40


@functools.cache
def compiled(kernel, signature, constants, multi_buffer):
    options = CompileOptions(multi_buffer=multi_buffer)
    return compile_kernel(kernel, dict(signature), dict(constants), options=options)


def tensors(text, seed=0):
    return Case.parse(text, spec).tensors(spec, seed)


def launch(args, cores=CORES, **config):
    """Compile and simulate every stage, workspaces full of NaN."""
    chosen = default(spec, spec.shape_of(args)) if not config else Record(spec.default, **config)
    assert all(excess <= 0 for excess in spec.excess(chosen, spec.shape_of(args)).values())
    simulations = []
    calls = spec.calls(args, chosen, "ascend", cores)
    for value in (value for call in calls for value in call.arguments.values()):
        if isinstance(value, torch.Tensor) and not any(value is mine for mine in args.values()):
            value.fill_(torch.nan)
    for call in calls:
        signature, constants, arguments = call.specialized()
        program = compiled(call.kernel, tuple(signature.items()), tuple(constants.items()), call.options["multibuffer"])
        simulations.append(simulate(program, list(arguments.values()), call.grid))
    return simulations


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", spec.hard)
def test_hard_cases(case, dtype):
    args = tensors(f"{case} dtype={dtype}")
    launch(args)
    assert errors(spec, args)["y"] <= 1


CONFIGS = [
    *(("fp16", dict(TILE_H=512, DEPTH=depth)) for depth in (1, 2, 3, 4)),
    *(("fp16", dict(TILE_H=512, TILE_R=ranks)) for ranks in (1, 2, 8, 16)),
    *((dtype, dict(TILE_H=256, SPLIT_H=4)) for dtype in DTYPES),
    ("bf16", dict(TILE_H=512, AUTO=False, DEPTH=1)),
    ("fp32", dict(TILE_H=256, SPLIT_H=2, AUTO=False, DEPTH=3, TILE_R=16)),
    ("fp16", dict(TILE_H=2048, TILE_R=1, DEPTH=1)),
]


def readable(item):
    return item if isinstance(item, str) else str(Record(item))


@pytest.mark.parametrize("dtype, config", CONFIGS, ids=readable)
def test_configurations(dtype, config):
    args = tensors(f"T=6 L=3 H=1100 R=12 idx=0/-1/2/1 strided dtype={dtype}")
    launch(args, **config)
    assert errors(spec, args)["y"] <= 1


@pytest.mark.parametrize("split", [1, 4])
def test_an_index_past_the_last_slot_is_a_base_row(split):
    args = tensors("T=5 L=3 H=1100 R=12")
    args["idx"] = torch.tensor([0, 3, 2, -2, 1 << 40])
    launch(args, TILE_H=256, SPLIT_H=split)
    assert errors(spec, args)["y"] <= 1 and not args["y"][[1, 3, 4]].any()


@settings(deadline=None, max_examples=8)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), split=st.sampled_from([1, 4]))
def test_a_row_does_not_depend_on_the_others(data, dtype, split):
    rows = data.draw(st.integers(2, 9))
    args = tensors(f"T={rows} L=3 H=1100 R=12 dtype={dtype}", seed=data.draw(st.integers(0, 99)))
    args["idx"] = torch.tensor(data.draw(st.lists(st.integers(-1, 2), min_size=rows, max_size=rows)))
    launch(args, TILE_H=256, SPLIT_H=split)
    assert errors(spec, args)["y"] <= 1
    some = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=2, max_size=9)))
    batch = args | dict(x=args["x"][some], idx=args["idx"][some], y=torch.full((len(some), 12), torch.nan))
    launch(batch, cores=data.draw(st.sampled_from([1, 3, 40])), TILE_H=256, SPLIT_H=split)
    assert torch.equal(batch["y"], args["y"][some])


def test_neighbouring_memory_is_left_alone():
    args = tensors("T=5 L=3 H=1100 R=12 strided idx=0/-1/2")
    launch(args)
    gaps = torch.as_strided(args["y"], (5, 3), (15, 1), 12)
    assert gaps.isnan().all()


def test_base_rows_read_no_weights():
    busy, idle = (launch(tensors(f"T=8 L=4 H=4096 R=16 idx={idx}"))[0] for idx in ("all", "none"))
    assert idle.bytes_read == 0 and idle.bytes_written == busy.bytes_written == 8 * 16 * 4
    assert busy.bytes_read >= 8 * 16 * 4096 * 2 and idle.cycles < busy.cycles
