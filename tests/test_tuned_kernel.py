"""A kernel that looks its configuration up when it is launched, up to the launch itself; and interpreted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
from cold_kernels import launch, tables, tuned_kernel
from cold_kernels.devices import Device
from cold_kernels.record import Record
from cold_kernels.tables import Entry, Table, source_digest, write
from cold_kernels.tuned_kernel import tuned
from tests.specs import copies
from tests.stranger_kernels import scaled, scaled_spec

ROOT = Path(__file__).parents[1]
NPU = Device("ascend", "Ascend910B3", 40)


@pytest.fixture(autouse=True)
def launched(tmp_path, monkeypatch):
    """What launches were given, with an empty folder of tables."""
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path))
    monkeypatch.setattr(tuned_kernel, "device_of", lambda tensor: NPU)
    seen = []
    monkeypatch.setattr(type(scaled), "run", lambda kernel, *args, **named: seen.append(named))
    tables.read.cache_clear()
    launch.forget()
    yield seen
    tables.read.cache_clear()
    launch.forget()


def arguments(rows=4, columns=100):
    x, y, bias = torch.randn(rows, columns), torch.empty(rows, columns), torch.randn(columns)
    return dict(X=x, Y=y, bias=bias, mask=None, stride_xm=columns, stride_xn=1, stride_bm=0, rows=rows,
                columns=columns, factor=3.0)  # fmt: skip


def in_a_table(folder, rows, columns, **config):
    entry = Entry(Record(rows=rows, columns=columns, dtype="fp32"), Record(scaled_spec.default, **config), "simulated")
    table = Table(kernel="scaled", chip=NPU.chip, source=source_digest(scaled_spec), versions={}, entries=(entry,))
    write(folder, scaled_spec, table)


def test_without_a_table_the_default_is_launched(launched):
    tuned(scaled_spec)(scaled)[(4,)](**arguments())
    (named,) = launched
    assert named["TILE"] == scaled_spec.default.TILE and named["grid"] == (4,)
    assert named["factor"] == 3.0  # the caller's own, and not what the spec fixes for its harness


@pytest.mark.parametrize("rows", [4, 5])
def test_a_launch_takes_the_entry_of_its_bucket_or_the_nearest(launched, tmp_path, rows):
    in_a_table(tmp_path, 4, 100, TILE=512)
    tuned(scaled_spec)(scaled)[(4,)](**arguments(rows))
    tuned(scaled_spec)(scaled)[(4,)](**arguments(rows, columns=64))  # of another group: the default
    assert [named["TILE"] for named in launched] == [512, scaled_spec.default.TILE]


def test_a_grid_that_is_a_function_gets_the_configuration(launched, tmp_path):
    in_a_table(tmp_path, 4, 100, TILE=64)
    tuned(scaled_spec)(scaled)[lambda meta: (meta["rows"], meta["TILE"])](**arguments())
    assert launched[0]["grid"] == (4, 64)


def test_a_tunable_from_the_caller_is_refused():
    kernel = tuned(scaled_spec)(scaled)
    with pytest.raises(ValueError, match="scaled: TILE is chosen by its tables; leave it out of the launch"):
        kernel[(4,)](**arguments(), TILE=64)
    with pytest.raises(ValueError, match="scaled: TILE is chosen by its tables"):
        kernel[(4,)](*arguments().values(), 64)


def test_an_argument_given_twice_or_too_many_are_refused():
    kernel = tuned(scaled_spec)(scaled)
    with pytest.raises(TypeError, match="argument X is given twice"):
        kernel[(4,)](*arguments().values(), X=1)
    with pytest.raises(TypeError, match="takes 11 arguments, not 12"):
        kernel[(4,)](*arguments().values(), 64, 1)


@pytest.mark.parametrize(
    "spec, said",
    [
        ("tests.stranger_kernels", "write module:NAME"),
        ("tests.nothing_of_the_kind:scaled_spec", "No module named"),
        ("nothing.py:scaled_spec", "there is no file"),
        ("tests.stranger_kernels:other", "tests.stranger_kernels has no other"),
        (lambda: 1, "is a int, no KernelSpec"),
        (copies, "copy_rows does not launch scaled"),
    ],
)
def test_a_spec_that_cannot_be_found_is_named(spec, said):
    with pytest.raises(ValueError, match=said):
        tuned(spec)(scaled)[(4,)](**arguments())


@pytest.mark.parametrize("spec", ["tests.stranger_kernels:scaled_spec", "stranger_kernels.py:scaled_spec"])
def test_a_spec_is_found_by_its_module_or_file(launched, spec):
    tuned(spec)(scaled)[(4,)](**arguments())
    assert launched[0]["TILE"] == 128


@pytest.mark.long
def test_interpreted_on_cpu_tensors(tmp_path):
    file = tmp_path / "interpreted.py"
    file.write_text(
        "import torch\n"
        "from cold_kernels.tuned_kernel import tuned\n"
        "from tests.stranger_kernels import scaled\n"
        "x, y, bias = torch.randn(3, 40), torch.empty(3, 40), torch.randn(40)\n"
        'kernel = tuned("tests.stranger_kernels:scaled_spec")(scaled)\n'
        "kernel[(2,)](x, y, bias, None, 40, 1, 0, 3, 40, 0.5)\n"
        "torch.testing.assert_close(y, 0.5 * x + bias)\n"
    )
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, file], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
