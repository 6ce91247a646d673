import os
import subprocess
import sys
from pathlib import Path

import pytest

from cold_kernels import tables
from cold_kernels.record import Record
from tuner.__main__ import main

from .test_autotune import ROOT, SPEC
from .test_known import shipped, tabled  # noqa: F401


def test_what_no_launch_reads_is_left_out(shipped, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setenv("COLD_KERNELS_TABLES", str(tmp_path / "user"))
    hidden = tabled(shipped, 40000, 80000, config=Record(TILE=1024, AUTO=False))
    assert main(["report", SPEC]) == 0
    assert "TILE=1024" in capsys.readouterr().out
    tabled(tmp_path / "user", 20000, net_us=4.0, floor_us=2.0)
    assert main(["report", SPEC]) == 0
    said = capsys.readouterr().out
    assert "TILE=4096" in said and "TILE=1024" not in said
    assert f"read {hidden}; 2 of its entries not, as their groups are above" in said
    assert "x floor net" in said and "2.00" in said
    assert main(["report", SPEC, "--tables", str(shipped)]) == 0
    assert "TILE=1024" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["report", "autotune"])
def test_without_rich_it_says_what_to_install(monkeypatch, capsys, command):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich" or name == "tuner.display"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert main([command]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{command}: ") and 'pip install "cold-kernels[ascend]"' in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [["report"], ["doctor"], ["autotune", SPEC, "--trials", "2", "--output", "."], ["--help"]],
    ids=lambda w: w[0],
)
def test_a_closed_pipe_ends_it_quietly(tmp_path, words):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "tests.tuner.fake_machine", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert "Traceback" not in process.stderr and "Exception ignored" not in process.stderr
    assert process.returncode in (0, 1)


def test_tests_do_not_see_the_tables_of_the_user():
    assert not tables.user_directory().is_relative_to(Path.home())
