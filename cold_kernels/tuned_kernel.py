"""A kernel that looks its configuration up when it is launched: in the place of ``@triton.autotune``."""

import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .devices import device_of
from .interpreter import complete
from .launch import selection
from .source import python_function
from .spec import KernelSpec
from .specs import module_from_file
from .stage import Stage, undecorated


class TunedKernel:
    """A ``@triton.jit`` kernel whose tunables come from tables; made by `tuned`.

    Args:
        fn: The kernel, decorated further or not.
        spec: As `tuned` takes it.
    """

    def __init__(self, fn: Any, spec: KernelSpec | Callable[[], KernelSpec] | str) -> None:
        self.fn = fn
        self._given = spec
        functools.update_wrapper(self, python_function(fn))

    @functools.cached_property
    def spec(self) -> KernelSpec:
        """The kernel's spec, looked up at the first launch: its module names this kernel.

        Raises:
            ValueError: there is no such module, file or spec, or the spec does not launch this kernel.
        """
        return self._found[0]

    @functools.cached_property
    def _found(self) -> tuple[KernelSpec, Stage]:
        spec, mine = self._given, python_function(self.fn)
        if isinstance(spec, str):
            spec = _named(spec, mine)
        elif not isinstance(spec, KernelSpec):
            spec = spec()
        if not isinstance(spec, KernelSpec):
            raise ValueError(f"tuned({self._given!r}) of {mine.__qualname__} is a {type(spec).__name__}, no KernelSpec")
        for stage in spec.stages:
            if python_function(stage.kernel).__code__ == mine.__code__:
                return spec, stage
        raise ValueError(f"{spec.name} does not launch {mine.__qualname__}; its stages do not name that kernel")

    @property
    def arg_names(self) -> list[str]:
        return list(inspect.signature(python_function(self.fn)).parameters)

    def __getitem__(self, grid: Any) -> Callable[..., Any]:
        """``kernel[grid](...)`` without the tunables; a grid that is a function is given all arguments by name."""
        return functools.partial(self.run, grid=grid)

    def run(self, *args: Any, grid: Any, **named: Any) -> Any:
        """Launch in the configuration for the tensors' sizes: the table's for the chip, of the nearest bucket, or the
        default.

        Raises:
            TypeError, ValueError: an argument is given twice, is a tunable, or does not fit the spec.
        """
        spec, stage = self._found
        kernel, parameters = stage.kernel, self.arg_names
        if len(args) > len(parameters):
            raise TypeError(f"{spec.name} takes {len(parameters)} arguments, not {len(args)}")
        given = dict(zip(parameters, args, strict=False))
        for name in named:
            if name in given:
                raise TypeError(f"{spec.name}: argument {name} is given twice")
            if name in spec.space:
                raise ValueError(f"{spec.name}: {name} is chosen by its tables; leave it out of the launch")
        given |= named
        if taken := [name for name in given if name in spec.space]:
            raise ValueError(f"{spec.name}: {taken[0]} is chosen by its tables; leave it out of the launch")
        operands = {
            name: given[parameter]
            for parameter, name in stage.given(spec.args).items()
            if parameter in given and name in spec.operands
        }
        shape = spec.shape_of(operands)
        device = device_of(operands[spec.first])
        config = selection(spec, spec.key(shape), device).config
        values, options = spec.bound(config, shape, device.backend)
        for name, value in values.items():
            if name in parameters:
                given.setdefault(name, value)
        if device.backend == "interpreter":
            complete()
        if callable(grid):
            grid = grid(given)
        return kernel[grid](**given, **{name: value for name, value in options.items() if name not in given})


def tuned(spec: KernelSpec | Callable[[], KernelSpec] | str) -> Callable[[Any], TunedKernel]:
    """Have a kernel look its tunables up at each launch; write it above ``@triton.jit`` in place of autotune's.

    Args:
        spec: ``"module:NAME"``, ``"FILE.py:NAME"`` with a file beside the kernel's, the spec itself, or a function that
            returns it. A text is looked up at the first launch, so that the spec's module may import the kernel.
    """
    return lambda kernel: TunedKernel(undecorated(kernel), spec)


def _named(name: str, kernel: Any) -> KernelSpec:
    where, colon, attribute = name.rpartition(":")
    if not colon or not attribute.isidentifier():
        raise ValueError(f"tuned({name!r}): write module:NAME, or FILE.py:NAME with a file beside the kernel's")
    if where.endswith(".py"):
        file = Path(inspect.getsourcefile(kernel)).resolve().parent / where
        if not file.is_file():
            raise ValueError(f"tuned({name!r}): there is no file {file}")
        module = module_from_file(file, name)
    else:
        try:
            module = importlib.import_module(where, kernel.__module__.rpartition(".")[0])
        except ModuleNotFoundError as error:
            raise ValueError(f"tuned({name!r}): {error}") from error
    if not hasattr(module, attribute):
        raise ValueError(f"tuned({name!r}): {where} has no {attribute}")
    return getattr(module, attribute)
