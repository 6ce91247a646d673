"""pytest and programs on the simulated NPU, each in a process of its own: torch cannot let go of a device."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments, folder=ROOT, **environment):
    """``python ARGUMENTS`` in a folder; exit code, and all that it printed."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TRITON_INTERPRET"))}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def run_pytest(*arguments, folder=ROOT, **environment):
    """``python -m pytest -p cold_kernels.npu ARGUMENTS``; exit code, and all that it printed."""
    given = ("-m", "pytest", "-p", "cold_kernels.npu", "-p", "no:cacheprovider", *arguments)
    return run(*given, folder=folder, **environment)
