"""What can go wrong between a Triton function and a simulated program, as types."""

import re
from collections.abc import Sequence

STAGES = {
    "frontend": "Python -> Triton IR (triton-ascend)",
    "linalg": "Triton IR -> Linalg (triton-adapter-opt)",
    "hivm": "Linalg -> HIVM (bishengir-compile)",
    "generic": "HIVM -> generic form (bishengir-opt)",
}


_ESCAPED = re.compile(r"(?:\\[89A-F][0-9A-F])+")
"""What is not ASCII, as MLIR writes it in a location: the bytes of UTF-8."""


class AscendError(RuntimeError):
    """Root of this package's errors."""


class ToolchainMissing(AscendError):
    """Something that this needs is not installed, or not usable; `remedy` is what to do."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}\n  {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self):
        return type(self), (self.problem, self.remedy)


class CompilationFailed(AscendError):
    """The compiler refused the kernel, or died of it.

    Args:
        stage: A key of `STAGES`.
        diagnostics: What the compiler said, one entry a message.
        kernel: The kernel's name, for the message.
    """

    deterministic = True
    """Whether the same call fails the same way again."""

    def __init__(self, stage: str, diagnostics: Sequence[str], kernel: str = ""):
        if stage not in STAGES:
            raise ValueError(f"unknown stage {stage!r}: one of {', '.join(STAGES)}")
        self.stage = stage
        self.diagnostics = [_ESCAPED.sub(_unescaped, said) for said in diagnostics]
        self.kernel = kernel
        text = "\n".join(self.diagnostics) or "no diagnostics"
        super().__init__(f"{kernel or 'kernel'} does not compile; {STAGES[stage]} says:\n{text}")

    def __reduce__(self):
        return type(self), (self.stage, self.diagnostics, self.kernel)


class CompilerDied(CompilationFailed):
    """The compiler ran out of time or was ended by a signal; never cached."""

    deterministic = False


class UnifiedBufferOverflow(CompilationFailed):
    """The tiles do not fit the vector core's unified buffer: smaller tiles, or fewer buffers for each."""

    def __init__(
        self,
        stage: str,
        diagnostics: Sequence[str],
        kernel: str = "",
        *,
        required_bits: int,
        available_bits: int,
    ):
        super().__init__(stage, diagnostics, kernel)
        self.required_bits = required_bits
        self.available_bits = available_bits

    def __str__(self) -> str:
        return (
            f"{self.kernel or 'kernel'} needs {self.required_bits / 8192:.1f} KiB of unified buffer, "
            f"{self.available_bits / 8192:.1f} KiB are there: smaller tiles or less multi-buffering"
        )

    def __reduce__(self):
        return _overflow, (self.stage, self.diagnostics, self.kernel, self.required_bits, self.available_bits)


class UnsupportedProgram(AscendError):
    """The program holds something that the simulator does not model; the message names it."""


class Deadlock(AscendError):
    """The program hangs: something waits for a flag, a lock or a barrier that never comes, or leaves a flag set."""


def _unescaped(found: re.Match) -> str:
    return bytes.fromhex(found.group().replace("\\", "")).decode(errors="replace")


def _overflow(stage, diagnostics, kernel, required_bits, available_bits):
    return UnifiedBufferOverflow(stage, diagnostics, kernel, required_bits=required_bits, available_bits=available_bits)
