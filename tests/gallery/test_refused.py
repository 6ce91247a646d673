"""What is refused says by whom and why. Seen with triton-ascend 3.2.0 and ascendnpu-ir 1.2.0."""

import pytest
import torch

from cold_kernels.ascend.installation import toolchain_problem

if problem := toolchain_problem():
    pytest.skip(str(problem), allow_module_level=True)

from cold_kernels.ascend import CompilationFailed, UnifiedBufferOverflow, UnsupportedProgram
from cold_kernels.ascend.simulator.dialects import control
from tests.gallery import elementwise, refused, sampling
from tests.gallery.example import BF16, ExampleLaunch, blank


def row(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


@pytest.mark.parametrize(
    "kernel, args, constants, stage, words",
    [
        # An assertion of triton-adapter-opt, with a stack dump; without the mask it compiles.
        (
            refused.rotate_some_neighbours, [row(128), row(128), 50], dict(HALF=64),
            "linalg", "InterleaveStatusWithMaskOptimization.*Assertion",
        ),
        # Another assertion: a reduction takes one tensor, or two.
        (refused.welford, [row(50), row(2), 50], dict(TILE=64), "linalg", r"Assertion `reduceOp.getSrcs\(\).size\(\)"),
        (refused.tanh, [row(64, dtype=BF16), row(64, dtype=BF16)], dict(N=64), "frontend", "input arg type"),
        (
            elementwise.add, [*[row(64, dtype=torch.float64)] * 3, 64], dict(TILE=64),
            "frontend", "fp64.* is unsupported on Ascend",
        ),
        (
            sampling.sort_rows, [row(64, dtype=torch.int32)] * 2, dict(N=64, DOWN=False),
            "hivm", "'hivm.hir.vsort' op failed to verify .* 16-bit float or 32-bit float",
        ),
    ],
    ids=["masked neighbours", "reduction of three", "tanh of bf16", "fp64", "sort of int32"],
)  # fmt: skip
def test_by_the_compiler(kernel, args, constants, stage, words):
    with pytest.raises(CompilationFailed, match=f"(?s)does not compile.*{words}") as caught:
        ExampleLaunch(kernel, args, constants, (1,)).run()
    assert caught.value.stage == stage and caught.value.diagnostics and caught.value.kernel == kernel.__name__


def test_by_the_memory_planner():
    with pytest.raises(UnifiedBufferOverflow, match="needs 256.0 KiB of unified buffer, 192.0 KiB are there"):
        ExampleLaunch(elementwise.add, [row(9), row(9), row(9), 9], dict(TILE=32768), (1,)).run()


def test_a_spin_lock_never_ends(monkeypatch):
    """The loop around tl.atomic_cas reads the lock again after having taken it, and finds it taken."""
    monkeypatch.setattr(control, "MAX_ITERATIONS", 100)
    args = [row(2, 64), blank(64), torch.zeros(1, dtype=torch.int32)]
    with pytest.raises(UnsupportedProgram, match=r"scf.while at .*refused.py:\d+: a loop that has not ended"):
        ExampleLaunch(refused.spin_lock, args, dict(N=64), (2,)).run()
    assert args[2].item() == 1


def test_inline_assembly():
    args = [row(64, dtype=torch.int64), row(64, dtype=torch.int64)]
    with pytest.raises(
        UnsupportedProgram, match=r"llvm.inline_asm at .*refused.py:\d+: inline assembly is not simulated"
    ):
        ExampleLaunch(refused.assembly, args, dict(N=64), (1,)).run()
