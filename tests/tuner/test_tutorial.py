"""docs/tutorial_your_kernel.md, run as it is written; and that the gate it ends with sees a change."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/tutorial_your_kernel.md"


def blocks():
    return re.findall(r"^```(python|bash)\n(.*?)^```", PAGE.read_text(), re.S | re.M)


def run(command, folder):
    paths = {"PYTHONPATH": str(ROOT), "COLD_KERNELS_TABLES": str(folder / "none")}
    words = command.replace("python -m", f"{sys.executable} -m", 1)
    return subprocess.run(words, shell=True, cwd=folder, env=os.environ | paths, capture_output=True, text=True)


def test_the_tutorial_runs_as_written(tmp_path):
    for needed in ("triton.backends.ascend", "ascendnpuir", "xdsl", "optuna", "rich"):
        pytest.importorskip(needed)
    said = ""
    for kind, text in blocks():
        if kind == "python":
            (tmp_path / re.match(r"# (\w+\.py)\n", text)[1]).write_text(text)
            continue
        for command in text.splitlines():
            done = run(command, tmp_path)
            said += done.stdout
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert "not with float64" in said and "the tuned softmax is right" in said and "are as accepted" in said
    (entry,) = json.loads((tmp_path / "tables/Ascend910B3/softmax_kernel.json").read_text())["entries"]
    assert entry["details"]["gain"] > 1.5
    assert entry["details"]["values compared with"].startswith("the default configuration")
    accepted = tmp_path / "gate/Ascend910B3/softmax_kernel.json"
    facts = json.loads(accepted.read_text())
    assert f"ROWS={entry['config']['ROWS']} " in next(iter(facts["cases"].values()))["configuration"]
    next(iter(facts["cases"].values()))["launches"] = 2
    accepted.write_text(json.dumps(facts))
    failed = run("python -m tuner gate softmax_kernel_spec.py:softmax_kernel_spec", tmp_path)
    assert failed.returncode == 3 and re.search(r"launches +2 +1 +-50.0 %", failed.stdout)
