"""Where all should be installed, a test or a file that skips fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CONFTEST = Path(__file__).parents[1] / "conftest.py"
FILES = {
    "test_runs.py": "def test_it(): pass",
    "test_expected.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
    "test_lacks.py": "import pytest\npytest.importorskip('no_such_package')\ndef test_it(): pass",
    "test_marked.py": "import pytest\n@pytest.mark.skipif(True, reason='no compiler')\ndef test_it(): pass",
    "test_allowed.py": "import pytest\ndef test_it(): pytest.skip('COLD_KERNELS_SMOLLM2 names no folder')",
}


def run(folder, files, processes, **environment):
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = long: is started first\n")
    for name in files:
        (folder / name).write_text(FILES[name])
    inherited = {name: value for name, value in os.environ.items() if name != "COLD_KERNELS_CI"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", processes, *files]
    return subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, text=True)


def test_skips_are_silent_elsewhere(tmp_path):
    done = run(tmp_path, FILES, "0")
    assert done.returncode == 0 and "1 passed, 3 skipped, 1 xfailed" in done.stdout


@pytest.mark.parametrize(
    "name, reason, processes",
    [
        ("test_lacks.py", "no_such_package", "0"),
        ("test_lacks.py", "no_such_package", "2"),
        ("test_marked.py", "no compiler", "2"),
    ],
)
def test_a_skip_fails_in_ci(tmp_path, name, reason, processes):
    done = run(tmp_path, ["test_runs.py", name], processes, COLD_KERNELS_CI="1")
    assert done.returncode != 0 and name in done.stdout
    assert reason in done.stdout and "COLD_KERNELS_CI is set" in done.stdout


def test_what_may_skip_in_ci_does(tmp_path):
    done = run(tmp_path, ["test_runs.py", "test_expected.py", "test_allowed.py"], "0", COLD_KERNELS_CI="1")
    assert done.returncode == 0 and "1 passed, 1 skipped, 1 xfailed" in done.stdout


def test_torch_takes_one_thread():
    assert torch.get_num_threads() == 1
