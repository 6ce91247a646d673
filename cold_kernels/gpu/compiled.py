"""A launch compiled by upstream Triton for a GPU that is not there, and what its program takes of one."""

import functools
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..stage import StageCall
from .errors import GpuError
from .targets import Target

ALIGNED = 16
"""Bytes of a pointer, and the number for an integer, whose multiples Triton's launches compile for."""


@dataclass(frozen=True)
class Resources:
    """What one program of a launch takes.

    Args:
        registers: 32-bit vector registers of a thread.
        spilled: Bytes of a thread in memory that registers had no room for.
        shared: Bytes of shared memory.
        warps: Warps of a program.
        scalar_registers: Of a wave, on AMD; 0 elsewhere.
    """

    registers: int
    spilled: int
    shared: int
    warps: int
    scalar_registers: int = 0


def upstream_problem() -> str | None:
    """Why nothing can be compiled for GPUs in this process; None if it can."""
    try:
        import triton
    except ImportError as missing:
        return f"no Triton is installed ({missing}): pip install triton"
    backends = Path(triton.__file__).parent / "backends"
    if not (backends / "nvidia" / "compiler.py").exists():
        return f"the installed Triton ({triton.__version__}) has no back end for GPUs: it takes upstream Triton"
    return None


def compile_ahead(call: StageCall, target: Target) -> Resources:
    """Compile a launch as Triton would on the device, down to its machine code.

    Raises:
        GpuError: Triton is missing or refuses the kernel, or the program takes more shared memory than one may have.
    """
    if problem := upstream_problem():
        raise GpuError(problem)
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, constants, arguments = call.specialized()
    names = call.kernel.arg_names
    places = {name: (names.index(name),) for name in (*arguments, *constants)}
    fixed = {names[item] if isinstance(item, int) else item for item in call.kernel.do_not_specialize or ()}
    source = ASTSource(
        fn=call.kernel,
        signature={name: signature.get(name, "constexpr") for name in names},
        constexprs={places[name]: value for name, value in constants.items()},
        attrs={
            places[name]: [["tt.divisibility", ALIGNED]]
            for name, value in arguments.items()
            if name not in fixed and _divisible(value)
        },
    )
    name = call.kernel.__name__
    try:
        built = triton.compile(source, target=GPUTarget(target.backend, target.arch, target.warp), options=call.options)
    except Exception as error:
        said = next((line for line in str(error).splitlines() if line.strip()), "no message")
        raise GpuError(f"{name} does not compile for {target.name}: {type(error).__name__}: {said}") from error
    shared, warps = built.metadata.shared, built.metadata.num_warps
    if target.backend == "cuda":
        found = Resources(*_of_cubin(built.asm["cubin"], name), shared, warps)
    else:
        found = _of_amdgcn(built.asm["amdgcn"], name, shared, warps)
    if shared > target.shared_of_program:
        raise GpuError(
            f"{name} takes {shared} bytes of shared memory, and a program of {target.name} may have "
            f"{target.shared_of_program}"
        )
    return found


def _divisible(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.data_ptr() % ALIGNED == 0
    return isinstance(value, int) and not isinstance(value, bool) and value % ALIGNED == 0


def _of_cubin(cubin: bytes, kernel: str) -> tuple[int, int]:
    """Registers, and bytes of stack, which are spills where a kernel has no local array: Triton's have none."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(_cuobjdump()), "--dump-resource-usage", file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", done.stdout)
    if done.returncode or found is None:
        raise GpuError(f"cuobjdump says nothing of {kernel}: {(done.stderr or done.stdout).strip()[:200]}")
    registers, stack, local = map(int, found.groups())
    return registers, stack + local


@functools.cache
def _cuobjdump() -> Path:
    """The one that comes with Triton; its `ptxas -v` does not read the PTX of all its own releases."""
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    if not path.exists():
        raise GpuError(f"{path} is not there: reinstall triton {triton.__version__}")
    return path


def _of_amdgcn(text: str, kernel: str, shared: int, warps: int) -> Resources:
    """From the metadata that the assembler writes; AGPRs are of the same file as VGPRs, and in their count."""
    found = dict(re.findall(r"\.(vgpr_count|sgpr_count|private_segment_fixed_size):\s+(\d+)", text))
    if len(found) != 3:
        raise GpuError(f"the assembler's metadata of {kernel} lack registers or scratch memory: {', '.join(found)}")
    return Resources(
        int(found["vgpr_count"]), int(found["private_segment_fixed_size"]), shared, warps, int(found["sgpr_count"])
    )
