"""Kernel, project, cache, tables, home and scratch folder with any name that a file system allows."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

import tests.kernels
from cold_kernels.ascend import CompilationFailed, UnifiedBufferOverflow, compile_kernel, simulate
from cold_kernels.ascend.frontend import PACKAGE_ROOT, frontend
from cold_kernels.ascend.simulator.core.operations import Op

NAMES = {
    "chinese": "用户",
    "quotes and blanks": """it's "so" (x""",
    "backslashes": r"a\b\E7\n %d",
    "all": r"""用户 it's "so" \E7 )""",
    "other encoding": os.fsdecode("用户".encode("gbk")),
}
ADD = {"x_ptr": "*fp16", "y_ptr": "*fp16", "n": "i32", "stride": "i32"}


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def folder(request, tmp_path, monkeypatch):
    """A folder of such a name, the compiler's cache and scratch files in it, and a worker that knows nothing else."""
    made = tmp_path / request.param
    for name in ("home", "scratch"):
        (made / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(made / "home"))
    monkeypatch.delenv("COLD_KERNELS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("TMPDIR", str(made / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    frontend.stop()
    yield made
    frontend.stop()


def kernels_in(folder: Path):
    """The module `tests.kernels`, out of a copy in that folder."""
    file = shutil.copy(tests.kernels.__file__, folder / "kernels.py")
    spec = importlib.util.spec_from_file_location("kernels_somewhere", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_kernel_is_compiled_and_simulated(folder):
    kernels = kernels_in(folder)
    program = compile_kernel(kernels.add_offset, ADD, {"TILE": 128})
    x, y = torch.arange(128, dtype=torch.float16), torch.zeros(128, dtype=torch.float16)
    simulate(program, [x, y, 128, 1], (1,))
    assert torch.equal(y, x * 2 + kernels.OFFSET)
    assert program.digest == compile_kernel(tests.kernels.add_offset, ADD, {"TILE": 128}).digest
    kept = list((folder / "home/.cache/cold-kernels/hivm").rglob("*.json"))
    assert len(kept) == 2, "both programs are in the cache of this home"

    (load,) = {op.location for op in map(Op, program.entry.walk()) if op.name == "hivm.hir.load"}
    file, _, line = load.rpartition(":")
    assert file == os.fsencode(folder / "kernels.py").decode(errors="backslashreplace")
    assert "tl.load" in (folder / "kernels.py").read_text().splitlines()[int(line) - 1]


def test_what_the_compiler_says_can_be_read(folder):
    kernels = kernels_in(folder)
    with pytest.raises(UnifiedBufferOverflow) as caught:
        compile_kernel(kernels.add_offset, ADD, {"TILE": 1 << 18})
    assert caught.value.required_bits > caught.value.available_bits
    (said,) = caught.value.diagnostics
    assert ("用户" in said) == ("用户" in str(folder))


def test_diagnostics_in_unicode():
    said = r'loc("/home/\E7\94\A8\E6\88\B7/k.py":4:0): error: \22 is a quote'
    assert CompilationFailed("hivm", [said]).diagnostics == [r'loc("/home/用户/k.py":4:0): error: \22 is a quote']


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_the_project_itself(locale, tmp_path):
    """A checkout with all its folders there; also where Python takes file names for ASCII."""
    place = tmp_path / NAMES["all"]
    for package in ("cold_kernels", "tuner"):
        shutil.copytree(PACKAGE_ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("home", "scratch"):
        (place / name).mkdir()
    here = {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "scratch"),
        "COLD_KERNELS_CACHE": str(place / "cache"),
        "COLD_KERNELS_TABLES": str(place / "tables"),
        "PYTHONPATH": "",
    }
    command = [sys.executable, "-m", "tuner", "autotune", "bgmv_shrink", "--quick", "--trials", "1", "--jobs", "1"]
    found = subprocess.run(command, cwd=place, env={**os.environ, **here, **locale}, capture_output=True)
    assert found.returncode == 0, found.stderr.decode(errors="replace")
    assert (place / "tables/Ascend910B3/bgmv_shrink.json").is_file() and any((place / "cache").rglob("*.json"))
