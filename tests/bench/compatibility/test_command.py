"""`python -m bench compatibility`: what it asks for, keeps and writes."""

import json

import pytest

from bench.__main__ import main
from bench.compatibility import command

pytest.importorskip("triton.backends.ascend")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two checkouts, whose tests are not run."""
    for name in ("FlagGems", "Liger-Kernel"):
        (tmp_path / name).mkdir()
    row = {"test": "a.py::test_it", "function": "a.py::test_it", "when": "call", "outcome": "passed", "errors": []}
    monkeypatch.setattr(command, "rows", lambda repository, checkout, options: ([row], ""))
    return tmp_path


def test_the_page_is_written_and_what_ran_is_kept(folder, capsys):
    kept, page = folder / "kept.json", folder / "page.md"
    first = ["compatibility", str(folder), "--repository", "FlagGems", "--commit", "FlagGems=abc123"]
    assert main([*first, "--json", str(kept)]) == 0
    second = ["compatibility", str(folder), "--repository", "Liger-Kernel", "--json", str(kept), "--out", str(page)]
    assert main(second) == 0
    assert list(json.loads(kept.read_text())["repositories"]) == ["FlagGems", "Liger-Kernel"]
    assert "| FlagGems | abc123 |" in page.read_text() and "| Liger-Kernel | unknown |" in page.read_text()
    assert "triton-ascend" in page.read_text() and "100.0%" in capsys.readouterr().out


def test_a_folder_without_checkouts_is_refused(tmp_path, capsys):
    assert main(["compatibility", str(tmp_path)]) == 2
    assert "holds none of triton-ascend, vllm-ascend" in capsys.readouterr().err


def test_a_commit_without_a_name_is_refused(folder, capsys):
    assert main(["compatibility", str(folder), "--commit", "abc123"]) == 2
    assert "--commit abc123: NAME=SHA is wanted" in capsys.readouterr().err
