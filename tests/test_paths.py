"""Which way an operator goes, seen from outside: what it imports, and what the interpreter needs."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")


def python(script):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def test_import_and_cpu_need_torch_alone():
    said = python(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('triton', 'xdsl', 'ml_dtypes', 'optuna'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import torch\n"
        "from cold_kernels import bgmv_shrink\n"
        "y = torch.full((2, 3), torch.nan)\n"
        "bgmv_shrink(torch.ones(2, 4), torch.ones(1, 3, 4), y, torch.tensor([0, -1]))\n"
        "print(y.tolist(), [m for m in ('triton', 'xdsl', 'ml_dtypes', 'optuna') if m in sys.modules])"
    )
    assert said.strip() == "[[4.0, 4.0, 4.0], [0.0, 0.0, 0.0]] []"


def test_interpreting_must_be_said_before_python_starts():
    said = python(
        "import os, torch\n"
        "from cold_kernels import bgmv_shrink\n"
        "import cold_kernels.bgmv.shrink\n"
        "os.environ['TRITON_INTERPRET'] = '1'\n"
        "try:\n"
        "    bgmv_shrink(torch.ones(2, 4), torch.ones(1, 3, 4), torch.ones(2, 3), torch.tensor([0, -1]))\n"
        "except RuntimeError as error:\n"
        "    print(error)"
    )
    assert "imported without TRITON_INTERPRET=1 and is now launched with it; set it once" in said
