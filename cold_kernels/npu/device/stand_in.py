"""`import torch_npu` where it is not installed: modules made in memory, of what kernels' tests import from it."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types

import torch

NAME = "torch_npu"
SUBMODULES = ("_C", "npu", "utils", "contrib", "profiler", "testing")


def check_absent() -> None:
    """Look for the real one.

    Raises:
        RuntimeError: torch_npu is installed: its device is called npu too.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if importlib.util.find_spec(NAME) is not None:
        raise RuntimeError("torch_npu is installed, and its device is npu too: simulate in an environment without it")


FORMATS_950 = ("hifloat8", "float8_e8m0fnu", "float4_e2m1fn_x2", "float4_e1m2fn_x2")
"""Types of numbers that Ascend 950 has, by whose names code looks for them."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        head, _, rest = name.partition(".")
        if head == NAME and (not rest or rest in SUBMODULES):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return torch.npu if spec.name == f"{NAME}.npu" else None

    def exec_module(self, module) -> None:
        part = module.__name__.partition(".")[2]
        if part != "npu" and module is not torch.npu:
            _fill(module, part)


def _fill(module: types.ModuleType, part: str) -> None:
    if not part:
        module.npu = torch.npu
        module.__version__ = f"{torch.__version__.partition('+')[0]}+simulated"
        module.npu_format_cast = lambda tensor, *_, **__: tensor  # all tensors are in the format ND here
        module.get_npu_format = lambda tensor: 2
        module.__dict__.update({name: f"torch_npu.{name}" for name in FORMATS_950})
    if part == "_C":
        module._npu_getCurrentRawStream = lambda device=None: 0
        module._npu_getCurrentRawStreamNoWait = lambda device=None: 0
        module._NPUTaskGroupHandle = object

    def missing(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        if not part and name in SUBMODULES:
            return importlib.import_module(f"{NAME}.{name}")
        if not part and name.startswith("npu_"):
            return _operator(name)
        raise AttributeError(f"{module.__name__}.{name} is not part of the simulated NPU")

    module.__getattr__ = missing


def _operator(name: str):
    def refused(*_, **__):
        raise NotImplementedError(f"torch_npu.{name} is an operator of CANN, which is not simulated")

    refused.__name__ = name
    return refused


def provide() -> None:
    """Make `torch_npu` importable."""
    sys.meta_path.append(_Finder())


def withdraw() -> None:
    """Undo `provide` once."""
    finders = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
    sys.meta_path.remove(finders[-1])
    if len(finders) == 1:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
