"""The tests in `on_device`, each file with the plugin in a process of its own."""

from pathlib import Path

import pytest

from .processes import run_pytest

FOLDER = Path(__file__).parent / "on_device"


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.glob("test_*.py")))
def test_file(name):
    code, said = run_pytest(FOLDER / name, "-n", "0", "-q")
    assert code == 0, said
    assert " passed" in said and "skipped" not in said
