"""Specs by name: the registered ones, and anybody's in a file."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import KernelSpec

KERNELS = {
    "bgmv_shrink": "cold_kernels.bgmv.shrink:bgmv_shrink",
    "bgmv_expand": "cold_kernels.bgmv.expand:bgmv_expand",
    "bgmv_shrink_expand": "cold_kernels.bgmv.shrink_expand:bgmv_shrink_expand",
    "bgmv_shrink_expand_cube": "cold_kernels.bgmv.cube_shrink_expand:bgmv_shrink_expand_cube",
    "bgmv_shrink_cube": "cold_kernels.bgmv.cube_shrink:bgmv_shrink_cube",
    "bgmv_expand_cube": "cold_kernels.bgmv.cube_expand:bgmv_expand_cube",
    "contrastive_score": "cold_kernels.contrastive.score:contrastive_score",
    "contrastive_argmax": "cold_kernels.contrastive.score:contrastive_argmax",
    "contrastive_sample": "cold_kernels.contrastive.sample:contrastive_sample",
}
"""Where each registered spec is: imported when it is asked for, as that imports Triton."""


def check_name(name: str) -> None:
    """Raise ValueError unless ``name`` is registered or reads ``FILE.py:SPEC`` with a file that exists."""
    file, colon, spec = name.rpartition(":")
    if name in KERNELS:
        return
    if not colon or not file.endswith(".py") or not spec.isidentifier():
        known = ", ".join(KERNELS)
        raise ValueError(f"unknown kernel {name!r}; use {known}, or FILE.py:SPEC for a spec of your own")
    if not Path(file).is_file():
        raise ValueError(f"{name}: there is no file {file}")


def load(name: str) -> "KernelSpec":
    """The spec that ``name`` stands for: a registered name, or ``FILE.py:SPEC``.

    Raises:
        ValueError: there is no such kernel or file, the file does not import, or what it names is no spec.
    """
    from .spec import KernelSpec

    check_name(name)
    where, _, attribute = KERNELS.get(name, name).rpartition(":")
    module = importlib.import_module(where) if name in KERNELS else module_from_file(Path(where).resolve(), name)
    spec = getattr(module, attribute, None)
    if not isinstance(spec, KernelSpec):
        found = [key for key, value in vars(module).items() if isinstance(value, KernelSpec)]
        raise ValueError(f"{name}: {attribute} is no KernelSpec; {where} has {', '.join(found) or 'none'}")
    return spec


def module_from_file(file: Path, name: str):
    module_name = f"_spec_{file.stem}_{abs(hash(file)):x}"
    if module_name not in sys.modules:
        if str(file.parent) not in sys.path:  # what stands beside the file can be imported from it
            sys.path.append(str(file.parent))
        spec = importlib.util.spec_from_file_location(module_name, file)
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[module_name]
            if isinstance(error, (Exception, SystemExit)):
                raise ValueError(f"{name} does not import: {type(error).__name__}: {error}") from error
            raise
    return sys.modules[module_name]
