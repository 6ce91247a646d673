"""What is installed here and what that can do; looked up afresh at each call, nothing heavy imported."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cold_kernels.ascend.installation import (
    INSTALL,
    distribution_version,
    mixed_triton,
    toolchain_problem,
    triton_backends,
)

DOES_NOT = "-"
"""In place of a problem: this back end is not meant to do that."""

_ASK_TORCH = """
import json, torch
npu = hasattr(torch, "npu") and torch.npu.is_available()
cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
print("\\n" + json.dumps({"npu": npu, "cuda": cuda}))
"""


@dataclass(frozen=True)
class Backend:
    """A way to handle kernels. What keeps it from it, with what to do; None: nothing does."""

    name: str
    compiles: str | None
    simulates: str | None
    runs: str | None
    takes_kernels: bool = True
    """False for plain PyTorch operators, which need no Triton."""

    @property
    def works(self) -> bool:
        """Whether it can do anything."""
        return None in (self.compiles, self.simulates, self.runs)


@dataclass(frozen=True)
class Torch:
    """What a fresh process with PyTorch in it sees: a broken plug-in may take the process down at import."""

    problem: str | None
    npu: bool = False
    cuda: str | None = None


def ask_torch() -> Torch:
    """Imports PyTorch in a process of its own and looks for devices."""
    if distribution_version("torch") is None:
        return Torch("torch is not installed: pip install torch")
    try:
        command = [sys.executable, "-c", _ASK_TORCH]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return Torch("`import torch` takes more than two minutes")
    if said.returncode != 0:
        last = (said.stderr.strip().splitlines() or [f"exit code {said.returncode}"])[-1]
        hint = ""
        if distribution_version("torch_npu") and cann() is None:
            hint = "; torch_npu needs CANN: source its set_env.sh, or pip uninstall torch_npu"
        return Torch(f"`import torch` fails: {last}{hint}")
    return Torch(None, **json.loads(said.stdout.strip().splitlines()[-1]))


def cann() -> str | None:
    """The folder of the CANN toolkit, by the variable that its set_env.sh sets."""
    folder = os.environ.get("ASCEND_HOME_PATH")
    return folder if folder and Path(folder).is_dir() else None


def triton_flavour() -> str:
    """Whose Triton would be imported."""
    found = triton_backends()
    if found is None:
        return "none"
    if (mixed := mixed_triton()) is not None:
        return f"mixed: {mixed}"
    name = "triton-ascend" if "ascend" in found else "triton"
    label = name if name == "triton-ascend" else "upstream"
    return f"{label} {distribution_version(name) or '(unknown version)'}"


def installed(torch: Torch) -> list[tuple[str, str]]:
    """Component and version, a row each."""
    rows = [
        ("Python", platform.python_version()),
        ("torch", distribution_version("torch") or "none"),
        ("triton", triton_flavour()),
    ]
    for name in ("ascendnpu-ir", "xdsl", "numpy", "optuna", "torch_npu"):
        version = distribution_version(name) or "none"
        too_new = name == "numpy" and version != "none" and _too_new(version)
        rows.append((name, f"{version} (2.4 or later: too new for triton-ascend)" if too_new else version))
    return [*rows, ("CANN", cann() or "none"), ("CUDA device", torch.cuda or "none")]


def backends(torch: Torch) -> list[Backend]:
    """Every back end with what keeps it from working here."""
    compiler = toolchain_problem()
    npu = _npu_compiler_problem()
    cuda = _cuda_compiler_problem()
    no_npu = None if torch.npu else "torch sees no NPU: npu-smi info shows what the driver sees"
    no_cuda = None if torch.cuda else "torch sees no CUDA device: nvidia-smi shows what the driver sees"
    return [
        Backend("Ascend compiler + simulator", compiler, compiler or _simulator_problem(), DOES_NOT),
        Backend("Triton interpreter", DOES_NOT, DOES_NOT, torch.problem or _interpreter_problem()),
        Backend("CPU (torch)", DOES_NOT, DOES_NOT, torch.problem, takes_kernels=False),
        Backend("NPU", npu, DOES_NOT, npu or torch.problem or no_npu),
        Backend("CUDA", cuda, DOES_NOT, cuda or torch.problem or no_cuda),
    ]


def _simulator_problem() -> str | None:
    missing = [name for name in ("xdsl", "numpy") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: {INSTALL}" if missing else None


def _interpreter_problem() -> str | None:
    found = triton_backends()
    if found is None:
        return f"no triton is installed: {INSTALL}, or pip install triton"
    if mixed_triton() is not None:
        return "triton is mixed: python -m tuner doctor --fix"
    version = distribution_version("numpy")
    if version is None:
        return "numpy is not installed: pip install 'numpy<2.4'"
    if "ascend" in found and _too_new(version):
        return f"numpy {version} breaks triton-ascend's interpreter: pip install 'numpy<2.4'"
    return None


def _npu_compiler_problem() -> str | None:
    if (mixed := mixed_triton()) is not None:
        return f"{mixed}: python -m tuner doctor --fix"
    if "ascend" not in (triton_backends() or ()):
        return f"triton-ascend is not installed: {INSTALL}"
    if distribution_version("torch_npu") is None:
        return 'torch_npu is not installed: on a machine with CANN, pip install "cold-kernels[npu]"'
    return None if cann() else "CANN is not installed, or ASCEND_HOME_PATH not set: source its set_env.sh"


def _cuda_compiler_problem() -> str | None:
    if (mixed := mixed_triton()) is not None:
        return f"{mixed}: use an environment for each"
    if "nvidia" in (triton_backends() or ()):
        return None
    return 'upstream Triton is not installed: in an environment of its own, pip install "cold-kernels[gpu]"'


def _too_new(numpy_version: str) -> bool:
    major, minor = numpy_version.split(".")[:2]
    return (int(major), int(minor)) >= (2, 4)
