"""Modules of newer releases of triton-ascend, whose contents the installed one has elsewhere."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types


def _cann(module: types.ModuleType) -> None:
    import triton.language.extra

    triton.language.extra.cann = module


def _extension(module: types.ModuleType) -> None:
    import triton.language

    _forward(module, triton.language)


def _libdevice(module: types.ModuleType) -> None:
    import triton.language.extra.ascend.libdevice

    _forward(module, triton.language.extra.ascend.libdevice)


def _forward(module: types.ModuleType, home: types.ModuleType) -> None:
    names = [name for name in dir(home) if not name.startswith("_")]
    module.__dict__.update({name: getattr(home, name) for name in names})

    def missing(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"{module.__name__}.{name} is in no module of the installed triton-ascend")

    module.__getattr__ = missing


def _empty(module: types.ModuleType) -> None:
    pass


class TensorDescriptor:
    """Of newer releases; can be imported, and not made.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, *_, **__) -> None:
        raise NotImplementedError("TensorDescriptor is in no module of the installed triton-ascend")

    @classmethod
    def from_tensor(cls, *_, **__) -> "TensorDescriptor":
        """The usual way to make one."""
        return cls()


def _descriptor(module: types.ModuleType) -> None:
    module.TensorDescriptor = TensorDescriptor


MODULES = {
    "triton.tools.tensor_descriptor": _descriptor,
    "triton.experimental": _empty,
    "triton.language.extra.cann": _cann,
    "triton.language.extra.cann.extension": _extension,
    "triton.language.extra.cann.libdevice": _libdevice,
}


class NewerNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `MODULES`, after everybody else was asked."""

    def find_spec(self, name, path=None, target=None):
        """The spec of one of the modules; None for any other."""
        if name in MODULES:
            return importlib.machinery.ModuleSpec(name, self, is_package=name.endswith(("cann", "experimental")))
        return None

    def create_module(self, spec):
        """The usual module."""
        return None

    def exec_module(self, module) -> None:
        """Fill a module from where the installed release has its names."""
        MODULES[module.__name__](module)


def provide() -> None:
    """Make the modules importable, once a process."""
    if not any(isinstance(finder, NewerNames) for finder in sys.meta_path):
        sys.meta_path.append(NewerNames())
    import triton.language.extra.cann.extension
    import triton.language.extra.cann.libdevice  # noqa: F401  `tl.extra.cann.libdevice` without an import
