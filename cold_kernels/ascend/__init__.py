"""The Ascend compiler and chip, with no chip. Importing this imports neither Triton, NumPy nor xDSL."""

from ..lazy import lazy_exports

_HOMES = {
    "AscendError": "errors",
    "Chip": "chips",
    "CompilationFailed": "errors",
    "CompileOptions": "options",
    "Hazard": "simulator",
    "Program": "program",
    "Simulation": "simulator",
    "ToolchainMissing": "errors",
    "UnifiedBufferOverflow": "errors",
    "UnsupportedProgram": "errors",
    "compile_kernel": "toolchain",
    "find_hazards": "simulator",
    "simulate": "simulator",
}

__getattr__, __all__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
