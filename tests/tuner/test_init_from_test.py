"""A draft from a file of two tests, of a kernel that wants a device and has autotune and heuristics; then tuned."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNEL = """
import torch_npu
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 128})], key=["n"])
@triton.heuristics({"EVEN": lambda args: False})
@triton.jit
def doubled(x_ptr, y_ptr, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    o = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + o, 2 * tl.load(x_ptr + o, mask=o < n), mask=o < n)
"""
TESTS = """
import torch
import triton
from kernels_of_mine import doubled


def check(n):
    x = torch.randn(n, device="npu")
    y = torch.empty_like(x)
    doubled[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, y, n)
    torch.testing.assert_close(y, 2 * x)


def test_one():
    check(300)


def test_two():
    check(500)
"""


@pytest.mark.long
def test_a_draft_from_two_tests_is_tuned_as_it_is(tmp_path):
    for needed in ("triton.backends.ascend", "ascendnpuir", "xdsl", "optuna", "rich"):
        pytest.importorskip(needed)
    (tmp_path / "kernels_of_mine.py").write_text(KERNEL)
    (tmp_path / "test_mine.py").write_text(TESTS)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLD_KERNELS_TABLES": str(tmp_path / "none")}

    def run(*arguments):
        done = subprocess.run([sys.executable, "-m", "tuner", *arguments], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init", "kernels_of_mine.py:doubled", "--from-test", "test_mine.py")
    draft = (tmp_path / "doubled_spec.py").read_text()
    assert '"n=300 dtype=fp32"' in draft and '"n=500 dtype=fp32"' in draft and "group=('n',)" in draft
    assert "triton.cdiv(s.n, c.BLOCK)" in draft and "BLOCK=PowerOf2(32, 256, default=64)" in draft
    assert "computes EVEN;" in draft
    said = run("autotune", "doubled_spec.py:doubled_spec", "--trials", "2", "--jobs", "1")
    assert "not with float64" in said
    assert (tmp_path / "tables/Ascend910B3/doubled.json").exists()
