"""The page and the picture, from facts and times made up for it."""

import pytest

from bench.__main__ import main
from bench.exact import accepted
from bench.timing import wall_clock
from bench.timing.wall_clock import Measured

CHIP = "Ascend910B3"


def facts(cycles):
    return {
        "configuration": "TILE=8", "bytes moved": 4096, "minimal bytes": 2048, "bytes moved over minimal": 2.0,
        "copies": 4, "copies under 16 KB": 3, "round trips": 1, "drains": {"operation": 2, "full barrier": 5},
        accepted.CYCLES: cycles,
    }  # fmt: skip


@pytest.fixture
def folders(tmp_path):
    """Two kernels accepted, one of them twice, and a run of two benchmarks, one of them accepted."""
    folder, results = tmp_path / "accepted", tmp_path / "results"
    cases = {"N=4 L=1 M=8 dtype=fp16": facts(1800.0), "N=4 L=1 M=16 dtype=fp16": facts(3600.0)}
    accepted.accept(CHIP, {"adds": cases}, "first", folder)
    faster = {case: facts(each[accepted.CYCLES] / 2) for case, each in cases.items()}
    accepted.accept(CHIP, {"adds": faster, "copies": {"N=4 M=8": facts(10.0)}}, "faster & less", folder)
    times = Measured(2e-3, {"loop": 1e-3}, "loop", (2.0,) * 10, 2.0)
    wall_clock.merge(wall_clock.CPU, {"a.py::test_a[1]": times, "a.py::test_a[2]": times}, results)
    wall_clock.merge(wall_clock.CPU, {"a.py::test_a[1]": times}, folder / "wall_clock")
    return folder, results


@pytest.fixture
def found(folders):
    from bench.report.panels import sections

    return sections(*folders)


def test_sections(found):
    roof, history, clock = found
    assert [row[:5] for row in roof.rows] == [
        ("adds", "N=4 L=1 M=8 dtype=fp16", "0.50", "0.00", "0 %"),
        ("adds", "N=4 L=1 M=16 dtype=fp16", "1.00", "0.00", "0 %"),
        ("copies", "N=4 M=8", "0.01", "0.00", "26 %"),
    ]
    assert roof.rows[0][5:9] == (2.0, 1, 7, "3 of 4")
    assert [(number, reason, changed) for number, _, reason, changed in history.rows] == [
        (1, "first", "adds: 2"),
        (2, "faster & less", "adds: 2, copies: 1"),
    ]
    assert [row[3:] for row in clock.rows] == [
        ("2", "2", "1.00 times, +0 us a call, p = 1"),
        ("2", "-", "not accepted yet"),
    ]
    assert "SIMULATED" in roof.note and "SIMULATED" in history.note and "MEASURED" in clock.note


def test_cases_are_grouped_by_the_sizes_that_differ(folders):
    from bench.report.panels import points
    from cold_kernels.ascend.chips import chip_named

    assert [point.group for point in points(chip_named(CHIP), folders[0])] == ["M=8", "M=16", ""]


def test_the_command_writes_a_page_and_a_picture(tmp_path, found, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("bench.report.panels.sections", lambda: found)
    out = tmp_path / "new" / "page.html"
    assert main(["report", "--out", str(out)]) == 0
    text = out.read_text()
    assert text.startswith("<!doctype html>") and text.count("data:image/png;base64,") == len(found) == 3
    assert "faster &amp; less" in text and "http" not in text and "<script" not in text
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"wrote {out} and {out.with_suffix('.png')}\n"


def test_bad_input(tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path / "page.pdf")]) == 2
    assert "the name must end in .html" in capsys.readouterr().err
    assert main(["accept", "--reason", " "]) == 2
    assert main(["accept", "bgmv", "--reason", "x"]) == 2
    assert "unknown kernel 'bgmv'; use bgmv_shrink" in capsys.readouterr().err
    assert main(["accept", "bgmv_shrink", "--wall-clock", "--reason", "x"]) == 2
