"""The Ascend compiler and chip, with no chip. Importing this imports neither Triton, NumPy nor xDSL."""

from importlib import import_module

_HOMES = {
    "AscendError": "errors",
    "Chip": "chips",
    "CompilationFailed": "errors",
    "CompileOptions": "options",
    "Program": "program",
    "Simulation": "simulator",
    "ToolchainMissing": "errors",
    "UnifiedBufferOverflow": "errors",
    "UnsupportedProgram": "errors",
    "compile_kernel": "toolchain",
    "simulate": "simulator",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
