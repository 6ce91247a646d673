"""Modules that come with an NPU's software, made in memory where that is absent: what kernels and their tests import.

``torch_npu`` is PyTorch's plug-in for NPUs; ``tbe.common.platform`` is the part of CANN that knows a chip's sizes.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable

import torch

from ...ascend.chips import L0_BYTES, L0C_BYTES, L1_BYTES, UB_BYTES

NAME = "torch_npu"
SUBMODULES = ("_C", "npu", "utils", "contrib", "profiler", "testing")
FORMATS_950 = ("hifloat8", "float8_e8m0fnu", "float4_e2m1fn_x2", "float4_e1m2fn_x2")
"""Types of numbers that Ascend 950 has, by whose names code looks for them."""


def _torch_npu(module: types.ModuleType) -> None:
    module.npu = torch.npu
    module.__version__ = f"{torch.__version__.partition('+')[0]}+simulated"
    module.npu_format_cast = lambda tensor, *_, **__: tensor  # all tensors are in the format ND here
    module.get_npu_format = lambda tensor: 2
    module.__dict__.update({name: f"torch_npu.{name}" for name in FORMATS_950})


def _bindings(module: types.ModuleType) -> None:
    module._npu_getCurrentRawStream = module._npu_getCurrentRawStreamNoWait = lambda device=None: 0
    module._NPUTaskGroupHandle = object


def _platform(module: types.ModuleType) -> None:
    def get_soc_spec(name: str) -> int | str:
        properties = torch.npu.get_device_properties()
        known = {
            "UB_SIZE": UB_BYTES,
            "L1_SIZE": L1_BYTES,
            "L0A_SIZE": L0_BYTES,
            "L0B_SIZE": L0_BYTES,
            "L0C_SIZE": L0C_BYTES,
            "AICORE_NUM": properties.cube_core_num,
            "VECTOR_CORE_CNT": properties.vector_core_num,
            "SOC_VERSION": properties.name,
            "SHORT_SOC_VERSION": properties.name[: len("Ascend910B")],
        }
        if name not in known:
            raise ValueError(f"get_soc_spec({name!r}): the simulated NPU knows {', '.join(known)}")
        return known[name]

    module.get_soc_spec = get_soc_spec
    module.set_current_compile_soc_info = lambda *_, **__: None


def _nothing(module: types.ModuleType) -> None:
    pass


MODULES: dict[str, Callable[[types.ModuleType], None]] = {
    NAME: _torch_npu,
    **{f"{NAME}.{part}": _nothing for part in SUBMODULES},
    f"{NAME}._C": _bindings,
    "tbe": _nothing,
    "tbe.common": _nothing,
    "tbe.common.platform": _platform,
}


def check_absent() -> None:
    """Look for the real torch_npu.

    Raises:
        RuntimeError: it is installed: its device is called npu too.
    """
    if not _finders() and importlib.util.find_spec(NAME) is not None:
        raise RuntimeError("torch_npu is installed, and its device is npu too: simulate in an environment without it")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name in MODULES else None

    def create_module(self, spec):
        return torch.npu if spec.name == f"{NAME}.npu" else None

    def exec_module(self, module) -> None:
        if module is torch.npu:
            return
        MODULES[module.__name__](module)
        module.__getattr__ = _missing(module.__name__)


def _missing(module: str) -> Callable:
    def missing(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        if module == NAME and name in SUBMODULES:
            return importlib.import_module(f"{NAME}.{name}")
        if module == NAME and name.startswith("npu_"):
            return _operator(name)
        raise AttributeError(f"{module}.{name} is not part of the simulated NPU")

    return missing


def _operator(name: str) -> Callable:
    def refused(*_, **__):
        raise NotImplementedError(f"torch_npu.{name} is an operator of CANN, which is not simulated")

    refused.__name__ = name
    return refused


def _finders() -> list[_Finder]:
    return [finder for finder in sys.meta_path if isinstance(finder, _Finder)]


def provide() -> None:
    """Make the modules importable, after those that are installed."""
    sys.meta_path.append(_Finder())


def withdraw() -> None:
    """Undo `provide` once."""
    finders = _finders()
    sys.meta_path.remove(finders[-1])
    if len(finders) == 1:
        for name in MODULES:
            module = sys.modules.get(name)
            if module is torch.npu or isinstance(getattr(module, "__loader__", None), _Finder):
                del sys.modules[name]
