"""Finds the two wheels that the Ascend path stands on, without importing either."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from .errors import ToolchainMissing

INSTALL = 'python -m pip install "cold-kernels[ascend]"'
OVERRIDE = "COLD_KERNELS_TRITON_ASCEND"
"""Names a folder with triton-ascend's `triton/`, for where the environment's `triton` is the upstream one."""


@dataclass(frozen=True)
class Toolchain:
    """Where the compiler's parts are."""

    bishengir_compile: Path
    bishengir_opt: Path
    versions: tuple[tuple[str, str], ...]
    triton_folder: Path | None
    """First on the worker's `sys.path`; None: the environment's own `triton`."""


def find_toolchain() -> Toolchain:
    """The installed toolchain.

    Raises:
        ToolchainMissing: It cannot compile here; says why, and what to do.
    """
    folder = os.environ.get(OVERRIDE)
    path = [folder] if folder else None
    _require_triton_ascend(path)
    if importlib.util.find_spec("pybind11") is None:
        raise ToolchainMissing("triton-ascend needs pybind11 and does not declare it", "pip install pybind11")
    binaries = _folder_of("ascendnpuir")
    if binaries is None:
        raise ToolchainMissing("ascendnpu-ir (bishengir-compile) is not installed", _remedy())
    tools = [binaries / "bin" / name for name in ("bishengir-compile", "bishengir-opt")]
    for tool in tools:
        if not os.access(tool, os.X_OK):
            raise ToolchainMissing(
                f"{tool} is absent or not executable", "pip install --force-reinstall --no-deps ascendnpu-ir"
            )
    return Toolchain(
        *tools,
        versions=tuple(sorted(toolchain_versions().items())),
        triton_folder=Path(folder).resolve() if folder else None,
    )


def toolchain_problem() -> str | None:
    """Why nothing can be compiled for Ascend here, with what to do; None if it can."""
    try:
        find_toolchain()
    except ToolchainMissing as error:
        return str(error)
    return None


def toolchain_versions() -> dict[str, str]:
    """The versions of what decides a compiler's output, by distribution; those not installed are left out."""
    folder = os.environ.get(OVERRIDE)
    found = {
        "triton-ascend": distribution_version("triton-ascend", [folder] if folder else None),
        "ascendnpu-ir": distribution_version("ascendnpu-ir"),
    }
    if folder:
        found["triton-ascend"] = f"{found['triton-ascend'] or 'unknown'} in {Path(folder).resolve()}"
    return {name: version for name, version in found.items() if version is not None}


def mixed_triton(path: list[str] | None = None) -> str | None:
    """How upstream Triton and triton-ascend got into each other's way; None if they did not.

    Both install the package `triton`, so whichever came last has overwritten half of the other.

    Args:
        path: The folders to look in; None: `sys.path`.
    """
    ascend = distribution_version("triton-ascend", path)
    upstream = distribution_version("triton", path)
    if ascend and upstream:
        return f"triton {upstream} (upstream) and triton-ascend {ascend} are installed into the same folder"
    backends = triton_backends(path)
    if ascend and backends is not None and "ascend" not in backends:
        return f"triton-ascend {ascend} is installed, but its triton/backends/ascend is gone"
    if "ascend" in (backends or ()) and {"nvidia", "amd"} & set(backends):
        return f"one triton/ folder holds the back ends {', '.join(backends)}"
    return None


def triton_backends(path: list[str] | None = None) -> list[str] | None:
    """The back ends in the `triton` folder that would be imported; None without one."""
    tree = _folder_of("triton", path)
    if tree is None:
        return None
    return sorted(found.parent.name for found in tree.glob("backends/*/compiler.py"))


def distribution_version(name: str, path: list[str] | None = None) -> str | None:
    """The version of an installed distribution by its metadata; None if absent."""
    where = {} if path is None else {"path": path}
    found = next(iter(metadata.distributions(name=name, **where)), None)
    return found.version if found is not None else None


def _require_triton_ascend(path: list[str] | None) -> None:
    where = f" in {path[0]} ({OVERRIDE})" if path else ""
    backends = triton_backends(path)
    if backends is None:
        raise ToolchainMissing(f"triton-ascend is not installed{where}", _remedy())
    if (mixed := mixed_triton(path)) is not None:
        raise ToolchainMissing(mixed, "python -m tuner doctor --fix")
    if "ascend" not in backends:
        raise ToolchainMissing(
            f"the installed triton{where} is the upstream one",
            f"set {OVERRIDE} to a folder made by `pip install --no-deps --target FOLDER triton-ascend`, "
            f"or use an environment of its own: {INSTALL}",
        )


def _remedy() -> str:
    if sys.version_info[:2] == (3, 11):
        return INSTALL
    here = ".".join(map(str, sys.version_info[:2]))
    return f"this is Python {here}, the Ascend compiler's wheels need CPython 3.11; there: {INSTALL}"


def _folder_of(package: str, path: list[str] | None = None) -> Path | None:
    spec = PathFinder.find_spec(package, path)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
