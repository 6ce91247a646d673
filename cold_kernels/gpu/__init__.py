"""Kernels for GPUs, compiled with no GPU: what their programs take of a multiprocessor. Nothing here imports Triton."""

from ..lazy import lazy_exports

_HOMES = {
    "GpuError": "errors",
    "Resources": "compiled",
    "TARGETS": "targets",
    "Target": "targets",
    "compile_ahead": "compiled",
    "resident": "occupancy",
    "target_named": "targets",
}

__getattr__, __all__ = lazy_exports(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
