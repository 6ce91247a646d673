"""The README's figures and commands are those of the project."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "page, command",
    [
        ("docs/tables.md", "python -m tuner report --markdown --tables cold_kernels/tables"),
        ("README.md", "python -m bench grid --markdown"),
    ],
)
def test_figures_are_those_on_disk(page, command):
    pytest.importorskip("triton")
    pytest.importorskip("rich")
    block = (ROOT / page).read_text().partition(f"<!-- {command} -->\n")[2].partition("<!-- end -->")[0]
    words = [sys.executable, *command.split()[1:]]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "/32" in printed
    assert block.strip() == printed.strip()


def test_ci_runs_the_test_command():
    (command,) = [line.strip() for line in README.splitlines() if line.endswith("python -m pytest")]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_pages_that_it_names_exist():
    pages = ("architecture", "kernels", "tables", "writing_a_spec", "simulator")
    for page in (*(f"docs/{name}.md" for name in pages), "CHANGELOG.md", "LICENSE"):
        assert (ROOT / page).is_file(), page
