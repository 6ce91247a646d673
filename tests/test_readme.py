"""The README's figures and commands are those of the project."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_tables_are_the_shipped_ones():
    pytest.importorskip("triton")
    pytest.importorskip("rich")
    command = "python -m tuner report --markdown --tables cold_kernels/tables"
    block = README.partition(f"<!-- {command} -->\n")[2].partition("<!-- end -->")[0]
    words = [sys.executable, *command.split()[1:]]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "32/32" in printed
    assert block.strip() == printed.strip()


def test_ci_runs_the_test_command():
    (command,) = [line.strip() for line in README.splitlines() if line.endswith("python -m pytest")]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_pages_that_it_names_exist():
    for page in ("docs/architecture.md", "docs/writing_a_spec.md", "docs/simulator.md", "CHANGELOG.md", "LICENSE"):
        assert (ROOT / page).is_file(), page
