import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cold_kernels import tables
from cold_kernels.ascend.chips import chip_named
from cold_kernels.record import Record
from cold_kernels.specs import load
from tuner.__main__ import main
from tuner.robustness.fragile import double_launch, half_bandwidth

from .test_autotune import ROOT, SPEC, faked  # noqa: F401
from .test_warm_start import shipped, tabled  # noqa: F401


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
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich" or name == "tuner.search.display"]:
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


def test_a_page_has_ranges_even_where_a_table_has_none(faked, shipped, capsys):  # noqa: F811
    tabled(shipped, 40000, 80000, best_us=1.0)
    command = ["report", SPEC, "--tables", str(shipped)]
    assert main([*command, "--markdown"]) == 0
    page = capsys.readouterr().out
    row = next(line for line in page.splitlines() if "N=40000" in line)
    best = next(cell for cell in row.split("|") if " to " in cell)
    least, most = map(float, best.split(" to "))
    assert 0 < least < most
    assert main([*command, "--refresh"]) == 0
    assert "tiny_add.json" in capsys.readouterr().out
    (table, _), *_ = tables.read(load(SPEC), "Ascend910B3", (shipped,))
    assert [set(entry.details["ranges"]) >= {"best_us", "default_us", "gain"} for entry in table.entries] == [True] * 2
    assert {entry.evidence for entry in table.entries} == {"simulated"}
    assert main([*command, "--markdown"]) == 0
    assert capsys.readouterr().out == page


def test_fragile_entries(faked, shipped, capsys):  # noqa: F811
    tabled(shipped, 40000, config=Record(TILE=1024, AUTO=True))
    tabled(shipped, 80000)
    assert main(["report", SPEC, "--fragile", "--json", "--tables", str(shipped)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["entries"] == 2 and found["chips"] == ["Ascend910B3"]
    assert {flip["case"].split()[0] for flip in found["flips"]} == {"N=40000"}
    flips = {flip["change"]: flip for flip in found["flips"]}
    assert set(flips) == {"nothing changes", "half the global bandwidth", "twice the launch floor"}
    assert flips["twice the launch floor"]["loss"] < flips["nothing changes"]["loss"]
    assert "TILE=4096" in flips["nothing changes"]["rival"]
    assert main(["report", SPEC, "--fragile", "--tables", str(shipped)]) == 0
    said = capsys.readouterr().out
    assert "nothing changes: 1 of 2 entries lose already" in said
    assert "twice the launch floor: 0 of 2 entries flip" in said


def test_chips_with_half_the_bandwidth_or_twice_the_launch():
    chip = chip_named("Ascend910B3")
    slow, late = half_bandwidth(chip), double_launch(chip)
    assert slow.hbm_bytes_per_second == chip.hbm_bytes_per_second / 2
    assert slow.l2_bytes_per_second == pytest.approx(chip.l2_bytes_per_second)
    assert late.start_us(40) == pytest.approx(2 * chip.start_us(40))
    assert late.hbm_bytes_per_second == chip.hbm_bytes_per_second


@pytest.mark.parametrize(
    "words, said",
    [
        (["--refresh"], "--refresh writes into tables; say which by --tables DIR"),
        (["--json"], "--json goes with --fragile"),
        (["--fragile", "--tables", "nowhere"], "there is no folder nowhere"),
        (["--chip", "Ascend310"], "unknown chip 'Ascend310'"),
    ],
)
def test_words_that_do_not_go_together(words, said, capsys):
    assert main(["report", SPEC, *words]) == 2
    assert said in capsys.readouterr().err
