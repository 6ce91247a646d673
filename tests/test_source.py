import importlib.util
import os
import subprocess
import sys

import pytest

from cold_kernels.source import kernel_source

TEXT = """
import triton
import triton.language as tl
import sizes

FACTOR: tl.constexpr = 3
UNUSED = 7

@triton.jit
def helper(x):
    return x * FACTOR

@triton.jit
def kernel(x_ptr, TILE: tl.constexpr):
    index = tl.arange(0, TILE) + sizes.SHIFT
    tl.store(x_ptr + index, helper(tl.load(x_ptr + index)) + tl.sum(sizes.twice(index), axis=0))
"""
SIZES = """
import triton

SHIFT = 5

@triton.jit
def twice(x):
    return x + x
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(text: str = TEXT, sizes: str = SIZES, name: str = "written"):
        (tmp_path / "sizes.py").write_text(sizes)
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.delitem(sys.modules, "sizes", raising=False)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_text_follows_helpers_and_constants_and_leaves_triton_out(load, tmp_path):
    source = kernel_source(load().kernel)
    wanted = ["def kernel", "sizes.SHIFT = 5", "def helper", "FACTOR = 3", "def twice"]
    places = [source.text.index(piece) for piece in wanted]
    assert places == sorted(places)
    assert "UNUSED" not in source.text and source.text.count("def ") == 3
    assert (source.module, source.qualname) == ("written", "kernel")
    assert source.file == str(tmp_path / "written.py")
    assert TEXT.splitlines()[source.line - 1] == "@triton.jit"


@pytest.mark.parametrize(
    "change",
    [
        dict(text=TEXT.replace("FACTOR: tl.constexpr = 3", "FACTOR: tl.constexpr = 4")),
        dict(text=TEXT.replace("x * FACTOR", "x + FACTOR")),
        dict(sizes=SIZES.replace("SHIFT = 5", "SHIFT = 6")),
        dict(sizes=SIZES.replace("x + x", "2 * x")),
        dict(text=TEXT.replace("axis=0", "axis=-1")),
    ],
    ids=["constant", "helper", "constant elsewhere", "helper elsewhere", "kernel"],
)
def test_digest_changes_with_what_the_kernel_compiles_from(load, change):
    assert kernel_source(load().kernel).digest != kernel_source(load(**change).kernel).digest


def test_digest_is_of_the_text_alone(load):
    moved = "# one more line\n" + TEXT.replace("UNUSED = 7", "UNUSED = 8")
    one, other = kernel_source(load().kernel), kernel_source(load(moved, name="elsewhere").kernel)
    assert one.digest == other.digest
    assert (one.line, one.file) != (other.line, other.file)


def test_interpreted_kernel_has_the_same_source(tmp_path, load):
    compiled = kernel_source(load().kernel)
    code = "import written; from cold_kernels.source import kernel_source as k; print(k(written.kernel).digest)"
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout.strip() == compiled.digest, said.stderr


def test_plain_recursive_function_ends():
    assert kernel_source(_plain).text.startswith("def _plain(n):")


def _plain(n):
    return n and _plain(n - 1)


def test_source_out_of_reach():
    scope = {}
    exec("def made_up(): pass", scope)
    with pytest.raises(ValueError, match="made_up.*define the kernel in a file"):
        kernel_source(scope["made_up"])


def test_not_a_function():
    with pytest.raises(TypeError, match="3 is a int, not a Triton kernel"):
        kernel_source(3)
