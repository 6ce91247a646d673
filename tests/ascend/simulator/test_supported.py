"""The page's table of operations is the registry's."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("xdsl")
pytest.importorskip("ml_dtypes")
from cold_kernels.ascend.simulator import supported
from cold_kernels.ascend.simulator.core.operations import HANDLERS

ROOT = Path(__file__).parents[3]
COMMAND = "python -m cold_kernels.ascend.simulator.supported"


def test_the_page_holds_the_table():
    page = (ROOT / "docs" / "simulator.md").read_text()
    block = page.partition(f"<!-- {COMMAND} -->\n")[2].partition("<!-- end -->")[0]
    assert block.strip() == supported.markdown()


def test_the_command_prints_it():
    words = [sys.executable, *COMMAND.split()[1:]]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == supported.markdown()


def test_every_operation_is_in_one_row_and_described():
    listed = [f"{dialect}.{name}" for dialect, names, _ in supported.rows() for name in names]
    assert sorted(listed) == sorted(HANDLERS)
    for _, names, text in supported.rows():
        assert text and text.endswith(".") and "|" not in text, names
