"""Kernels compiled ahead of time for GPUs, by each release of upstream Triton, in processes of their own."""

import os
import subprocess
import sys

import pytest

from tests.test_interpreter import ROOT, UPSTREAM, named, upstream

PARTS = {"gate": "bench/gpu/exact.py", "compiler": "tests/gpu/upstream.py"}


@named
@pytest.mark.long
@pytest.mark.parametrize("version", UPSTREAM)
@pytest.mark.parametrize("part", PARTS)
def test_ahead(part, version, tmp_path):
    path = os.pathsep.join(filter(None, [str(upstream(version)), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", PARTS[part]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
