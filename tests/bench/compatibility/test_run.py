"""A small checkout's tests are run as they are, sampled, limited and recorded."""

import pytest

from bench.compatibility.recorder import spread
from bench.compatibility.repositories import Repository
from bench.compatibility.run import Options, rows

pytest.importorskip("triton.backends.ascend")

TESTS = """
import pytest
import torch
from mine._built import kind
from mine.part import two
import importlib.metadata

@pytest.mark.parametrize("n", range(9))
def test_cases(n):
    assert two() == 2 and kind == "A2"

def test_wrong():
    raise ValueError("no") from KeyError("yes")

def test_slow():
    while True:
        pass

def test_default_device_of_another_file_is_gone():
    assert torch.empty(1).device.type == "cpu"

def test_announced():
    assert [point.name for point in importlib.metadata.entry_points(group="some.group")] == ["mine"]

@pytest.mark.skip(reason="of theirs")
def test_skipped():
    pass
"""

KERNELS = """
import triton
import triton.language as tl

@triton.jit
def product(x_ptr, y_ptr, N: tl.constexpr):
    at = tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]
    x = tl.load(x_ptr + at)
    tl.store(y_ptr + at, tl.dot(x, x))

@triton.jit
def twice(x_ptr, y_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(y_ptr + at, tl.load(x_ptr + at) * 2)
"""

PRODUCTS = """
import torch
from kernels import product, twice

def test_product():
    x, y = torch.eye(32, device="npu"), torch.zeros(32, 32, device="npu")
    product[(1,)](x, y, N=32)
    assert torch.equal(y, x)

def test_sum():
    x, y = torch.ones(32, device="npu"), torch.zeros(32, device="npu")
    twice[(1,)](x, y, N=32)
    assert y.sum() == 64
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "mine").mkdir()
    (checkout / "mine" / "__init__.py").write_text("raise OSError('a library that is not built')\n")
    (checkout / "mine" / "part.py").write_text("def two():\n    return 2\n")
    (checkout / "test_some.py").write_text(TESTS)
    (checkout / "test_default.py").write_text("import torch\n\ndef test_it():\n    torch.set_default_device('npu')\n")
    (checkout / "test_not_here.py").write_text("import a_package_that_nobody_has\n")
    repository = Repository(
        "mine",
        "",
        tests=("test_*.py",),
        built_modules={"mine._built": {"kind": "A2"}},
        unbuilt_packages={"mine": "mine"},
        entry_points={"some.group": ("mine = mine.part:two",)},
    )
    found, ended = rows(repository, checkout, Options(most=3, jobs=1, limit=1.0))
    assert ended == ""
    return found


def test_cases_are_sampled_evenly(recorded):
    passed = [row["test"] for row in recorded if row["outcome"] == "passed"]
    assert [test for test in passed if "cases" in test] == [f"test_some.py::test_cases[{n}]" for n in (0, 4, 8)]
    assert "test_some.py::test_announced" in passed


def test_a_default_device_ends_with_its_file(recorded):
    passed = [row["test"] for row in recorded if row["outcome"] == "passed"]
    assert (
        "test_default.py::test_it" in passed and "test_some.py::test_default_device_of_another_file_is_gone" in passed
    )


def test_no_product_was_launched(recorded):
    assert {row["cube"] for row in recorded if row["when"] == "call"} == {False}


def test_a_product_that_is_launched_is_noted(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "test_some.py").write_text(PRODUCTS)
    found, _ = rows(Repository("mine", "", tests=("test_*.py",)), tmp_path, Options(limit=60.0))
    assert {row["test"].partition("::")[2]: (row["cube"], row["outcome"]) for row in found} == {
        "test_product": (True, "passed"),
        "test_sum": (False, "passed"),
    }


def test_an_error_is_recorded_with_its_cause(recorded):
    (row,) = [row for row in recorded if row["function"].endswith("test_wrong")]
    assert row["errors"] == ["ValueError: no", "KeyError: 'yes'"] and row["outcome"] == "failed"


def test_a_test_is_ended_at_its_limit(recorded):
    (row,) = [row for row in recorded if row["function"].endswith("test_slow")]
    assert row["errors"] == ["TestTookTooLong: the test took more than 1 s of this process"]


def test_a_file_that_cannot_be_imported_is_recorded_once(recorded):
    (row,) = [row for row in recorded if row["when"] == "collect"]
    assert row["test"] == "test_not_here.py" and "No module named 'a_package_that_nobody_has'" in row["errors"][0]


def test_the_first_and_the_last_are_kept():
    assert spread(list(range(10)), 3) == [0, 4, 9]
    assert spread([1, 2], 3) == [1, 2] and spread([1, 2], 1) == [1]


def test_workers_that_collect_different_tests_are_told(tmp_path):
    text = "import os\nimport pytest\n\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_it(n):\n    pass\n"
    (tmp_path / "test_some.py").write_text(text)
    found, ended = rows(Repository("mine", "", tests=("test_*.py",)), tmp_path, Options(jobs=2))
    assert not [row for row in found if row["when"] == "call"] and "--jobs 1 is wanted" in ended
