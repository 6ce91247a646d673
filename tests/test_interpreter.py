"""The Triton source itself, interpreted: Triton decides at its import, so the tests run in processes of their own.

The tests of the operators run there once more. Upstream Triton and triton-ascend are both the package ``triton``, so
each upstream version gets a folder of its own, and only where one is named: it takes 1 GB.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")
ROOT = Path(__file__).parents[1]
TESTS = ("tests/interpreted.py", "tests/contrastive/interpreted.py", "tests/ops", "--ignore=tests/ops/test_library.py")
UPSTREAM = ("3.9.0", "3.8.0")
FOLDER = "COLD_KERNELS_UPSTREAM_TRITON"
named = pytest.mark.skipif(
    not os.environ.get(FOLDER),
    reason=f"{FOLDER} names no folder to install upstream Triton into (1 GB a version), as .ci/run does",
)


def upstream(version):
    """Where that version is, installed from PyPI unless it is there."""
    folder = Path(os.environ[FOLDER]).absolute() / version
    if not (folder / f"triton-{version}.dist-info").exists():
        wanted = ("--quiet", "--no-deps", "--upgrade", "--target", str(folder), f"triton=={version}")
        subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=True)
    return folder


def interpret(version):
    """Run the tests with that upstream version, or with the Triton that is installed."""
    if version == "installed":
        path, expected = [], f"{triton.__version__} {triton.__file__}"
    else:
        folder = upstream(version)
        path, expected = [str(folder)], f"{version} {folder / 'triton' / '__init__.py'}"
    path += filter(None, [os.environ.get("PYTHONPATH")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(path)}
    environment |= {"INTERPRETED_TRITON": expected, "OMP_NUM_THREADS": "1"}  # the runs share the cores
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def runs():
    """All runs, started together: each takes minutes on one core."""
    with ThreadPoolExecutor() as pool:
        versions = ("installed", *UPSTREAM) if os.environ.get(FOLDER) else ("installed",)
        yield {version: pool.submit(interpret, version) for version in versions}


@pytest.mark.parametrize("version", ["installed", *(pytest.param(version, marks=named) for version in UPSTREAM)])
def test_interpreted(version, runs):
    done = runs[version].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_ci_names_a_folder():
    assert f"{FOLDER}=" in (ROOT / ".ci" / "run").read_text()
