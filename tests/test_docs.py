"""The pages' examples work as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def test_the_spec_that_the_page_teaches_is_tuned(tmp_path):
    for needed in ("triton.backends.ascend", "ascendnpuir", "xdsl", "optuna"):
        pytest.importorskip(needed)
    page = (DOCS / "writing_a_spec.md").read_text()
    (code,) = re.findall(r"```python\n(# scaled_add.py\n.*?)```", page, re.DOTALL)
    (tmp_path / "scaled_add.py").write_text(code)
    command = [sys.executable, "-m", "tuner", "autotune", "scaled_add.py:scaled_add", "--trials", "3", "--output", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "Ascend910B3" / "scaled_add.json").is_file()
