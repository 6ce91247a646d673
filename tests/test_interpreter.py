"""The Triton source itself, interpreted: Triton decides at its import, so the tests run in processes of their own.

The tests of the operators run there once more. Each part is a process, so that xdist gives all cores something to do.
Upstream Triton and triton-ascend are both the package ``triton``, so each upstream version gets a folder of its own,
and only where one is named: it takes 1 GB.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")
ROOT = Path(__file__).parents[1]
PARTS = {
    "operators": ("tests/ops", "--ignore=tests/ops/test_library.py", "--ignore=tests/ops/test_fused.py"),
    "fused operators": ("tests/ops/test_fused.py",),
    "every kernel of contrastive": ("tests/interpreted.py", "-k", "contrastive"),
    "every other kernel": ("tests/interpreted.py", "-k", "not contrastive"),
    "contrastive": ("tests/contrastive/interpreted.py",),
    "contrastive as on GPUs": ("tests/gpu/interpreted.py", "-k", "contrastive"),
    "every other kernel as on GPUs": ("tests/gpu/interpreted.py", "-k", "not contrastive"),
}
UPSTREAM = ("3.9.0", "3.8.0")
FOLDER = "COLD_KERNELS_UPSTREAM_TRITON"
named = pytest.mark.skipif(
    not os.environ.get(FOLDER),
    reason=f"{FOLDER} names no folder to install upstream Triton into (1 GB a version), as .ci/run upstream does",
)


def upstream(version):
    """Where that version is, installed from PyPI unless it is there."""
    home = Path(os.environ[FOLDER]).absolute()
    folder = home / version
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another part, in another process, needs it too
        if not (folder / f"triton-{version}.dist-info").exists():
            wanted = ("--quiet", "--no-deps", "--upgrade", "--target", str(folder), f"triton=={version}")
            subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=True)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("version", ["installed", *(pytest.param(version, marks=named) for version in UPSTREAM)])
@pytest.mark.parametrize("part", PARTS)
def test_interpreted(part, version):
    """With that upstream version, or with the Triton that is installed."""
    if version == "installed":
        path, expected = [], f"{triton.__version__} {triton.__file__}"
    else:
        folder = upstream(version)
        path, expected = [str(folder)], f"{version} {folder / 'triton' / '__init__.py'}"
    path += filter(None, [os.environ.get("PYTHONPATH")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(path)}
    environment |= {"INTERPRETED_TRITON": expected}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *PARTS[part]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_no_file_of_interpreted_tests_is_left_out():
    files = {str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("interpreted.py")}
    assert files == {part[0] for part in PARTS.values() if part[0].endswith("/interpreted.py")}
