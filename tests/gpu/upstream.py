"""Run by test_gpu_ahead.py under upstream Triton: what is compiled ahead of time, and what the tuner makes of it."""

import json
import re

import pytest
import torch
import triton
import triton.language as tl

from cold_kernels.cases import Case
from cold_kernels.devices import Device
from cold_kernels.gpu import compiled
from cold_kernels.gpu.compiled import compile_ahead, upstream_problem
from cold_kernels.gpu.errors import GpuError
from cold_kernels.gpu.targets import GFX942, SM_80, SM_90, TARGETS
from cold_kernels.launch import forget, selection
from cold_kernels.specs import load
from cold_kernels.stage import StageCall
from cold_kernels.tables import read
from cold_kernels.tunables import OPTIONS
from tuner.__main__ import main


@triton.jit
def scaled_sum(x_ptr, y_ptr, n, TILE: tl.constexpr):
    o = tl.arange(0, TILE)
    x = tl.load(x_ptr + o, mask=o < n, other=0.0)
    tl.store(y_ptr + o, x * x + tl.load(y_ptr + o, mask=o < n, other=0.0), mask=o < n)


@triton.jit
def product(x_ptr, y_ptr, M: tl.constexpr, K: tl.constexpr):
    m, k = tl.arange(0, M), tl.arange(0, K)
    total = tl.zeros([M, M], tl.float32)
    for start in range(0, 8 * K, K):
        x = tl.load(x_ptr + m[:, None] * 8 * K + start + k[None, :])
        total = tl.dot(x, tl.trans(x), total)
    tl.store(y_ptr + m[:, None] * M + m[None, :], total)


@triton.jit
def unknown_name(x_ptr):
    tl.store(x_ptr, this_name_is_defined_nowhere)  # noqa: F821


def call(kernel, constants, dtype=torch.float32, n=(1000,), **options):
    x, y = torch.zeros(1 << 20, dtype=dtype), torch.zeros(1 << 20)
    numbers = {"n": n[0]} if "n" in kernel.arg_names else {}
    return StageCall(kernel, (1,), {"x_ptr": x, "y_ptr": y, **numbers}, constants, options)


@pytest.fixture
def programs(monkeypatch):
    """What `compile_ahead` is given by Triton, in order."""
    made, before = [], triton.compile
    monkeypatch.setattr(triton, "compile", lambda *args, **how: made.append(before(*args, **how)) or made[-1])
    return made


def test_this_is_upstream():
    assert upstream_problem() is None


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_a_program_takes(target):
    found = compile_ahead(call(scaled_sum, {"TILE": 1024}, num_warps=4), target)
    assert 8 <= found.registers <= 64 and not found.spilled and found.warps == 4 and found.shared == 0
    assert (found.scalar_registers > 0) == (target is GFX942)


def test_more_numbers_than_registers_hold_are_found_to_spill():
    wide = call(product, {"M": 256, "K": 16}, torch.float16, num_warps=1, num_stages=1)
    assert all(compile_ahead(wide, target).spilled > 0 for target in (SM_80, GFX942))


def test_more_shared_memory_than_there_is_names_kernel_and_bytes():
    many = call(product, {"M": 256, "K": 128}, torch.float16, num_warps=8, num_stages=4)
    with pytest.raises(
        GpuError, match=r"product takes \d+ bytes of shared memory, and a program of sm_80 may have 166912"
    ):
        compile_ahead(many, SM_80)


def test_what_triton_refuses_is_one_line():
    with pytest.raises(GpuError, match="unknown_name does not compile for sm_90: ") as refused:
        compile_ahead(StageCall(unknown_name, (1,), {"x_ptr": torch.zeros(8)}, {}, {}), SM_90)
    assert "\n" not in str(refused.value)


def test_products_and_sums_are_fused_only_where_that_is_asked_for(programs):
    fused = call(scaled_sum, {"TILE": 1024}, enable_fp_fusion=True)
    compile_ahead(fused, SM_90)
    compile_ahead(call(scaled_sum, {"TILE": 1024}, **OPTIONS["cuda"]), SM_90)
    assert "fma.rn.f32" in programs[0].asm["ptx"] and "fma.rn.f32" not in programs[1].asm["ptx"]
    assert OPTIONS["cuda"].items() <= calls("bgmv_shrink")[0].options.items()


def calls(name, **options):
    spec = load(name).on("cuda")
    case = Case.parse("", spec)
    made = spec.calls(case.tensors(spec, blank=True), spec.default_for(case.shape()), "cuda", SM_90.cores)
    for each in made:
        each.options.update(options)
    return made


@pytest.mark.parametrize("name", ["bgmv_shrink", "bgmv_expand", "bgmv_shrink_expand", "contrastive_score"])
def test_stages_make_no_other_program(name, programs):
    """So that no GPU space has them."""
    for stages in (1, 3):
        for each in calls(name, num_stages=stages):
            compile_ahead(each, SM_90)
    half = len(programs) // 2
    for one, other in zip(programs[:half], programs[half:], strict=True):
        assert one.asm["cubin"] == other.asm["cubin"]


def test_what_the_ascend_compiler_needs_is_not_in_the_program(programs):
    """In the other form the same configuration takes more instructions."""
    spec = load("bgmv_expand")
    case = Case.parse("", spec)
    gpu = spec.on("cuda")
    config = gpu.default_for(case.shape())
    for ascend in (0, 1):
        (made,) = gpu.calls(case.tensors(gpu, blank=True), config, "cuda", SM_90.cores)
        made.constants["ASCEND"] = ascend
        compile_ahead(made, SM_90)
    without, with_it = (len(re.findall(r"mul\S*\.f32", program.asm["ptx"])) for program in programs)
    assert without < with_it


def test_a_table_for_a_gpu_that_is_not_there(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    shape = "T=4 H=512 R=16,T=8 H=512 R=16".split(",")
    words = ["autotune", "bgmv_expand", "--chip", "sm_90", "--trials", "4"]
    for each in shape:
        words += ["--shape", each]
    assert main(words) == 0
    assert "Times are modelled" in capfd.readouterr().out
    spec = load("bgmv_expand").on("cuda")
    (table, path), *_ = read(spec, "sm_90")
    assert table.versions == {"triton": triton.__version__} and len(table.entries) == 2
    for entry in table.entries:
        assert entry.evidence == "correct (interpreter)" and entry.details["times"].startswith("modelled")
        assert entry.details["modelled_us"] <= entry.details["modelled_us_of_default"]
    assert "simulated" not in json.dumps(json.loads(path.read_text()))
    forget()
    key = table.entries[0].shape
    chosen = selection(load("bgmv_expand"), key, Device("cuda", "NVIDIA_H100", 2112, "sm_90"))
    assert chosen.config == table.entries[0].config and chosen.evidence == "correct (interpreter)"


def test_the_doctor_says_what_works(capsys):
    main(["doctor"])
    said = capsys.readouterr().out
    assert "upstream" in said or "mixed" in said


def test_triton_without_its_tool_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(triton, "__file__", str(tmp_path / "__init__.py"))
    compiled._cuobjdump.cache_clear()
    with pytest.raises(GpuError, match="cuobjdump is not there: reinstall triton"):
        compiled._cuobjdump()
    compiled._cuobjdump.cache_clear()
