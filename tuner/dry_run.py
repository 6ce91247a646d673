"""A spec's functions, called once on a small case: what is wrong with them comes out before a search starts."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any

import torch

from cold_kernels.cases import Case
from cold_kernels.spec import KernelSpec


def dry_run(spec: KernelSpec, case: Case, cores: int) -> None:
    """Call ``constraints``, every stage's ``grid``, ``reference``, ``tolerance`` and ``minimal_bytes`` on ``case``.

    Raises:
        ValueError: one of them raises or returns something else than it must; says which.
    """
    shape = case.shape()
    for name, violation in spec.constraints.items():
        with _field(spec, f"constraint {name}", case):
            value = violation(spec.default, shape)
            if not isinstance(value, Real) or math.isnan(value):
                raise TypeError(f"it is {value!r}, but must be a number")
    config = spec.default_for(shape)
    with _field(spec, "args", case):
        args = case.tensors(spec)
    for stage in spec.stages:
        name = stage.kernel.__name__
        with _field(spec, f"when of {name}", case):
            runs = stage.when(config, shape)
        with _field(spec, f"grid of {name}", case):
            grid = stage.grid(config, shape, cores) if runs else (1,)
            sized = isinstance(grid, tuple) and 1 <= len(grid) <= 3
            if not sized or not all(type(size) is int and size > 0 for size in grid):
                raise TypeError(f"it is {grid!r}, but must be a tuple of one to three positive ints")
    for name, function in (("reference", spec.reference), ("tolerance", spec.tolerance)):
        with _field(spec, name, case):
            _check_outputs(spec, function(**args), args)
    with _field(spec, "minimal_bytes", case):
        moved = spec.minimal_bytes(**args)
        if not isinstance(moved, Real) or not 0 <= moved < math.inf:
            raise TypeError(f"it is {moved!r}, but must be a number of bytes")
    with _field(spec, "stages", case):
        spec.calls(args, config, "ascend", cores)


def _check_outputs(spec: KernelSpec, made: Any, args: Mapping[str, Any]) -> None:
    if not isinstance(made, Mapping):
        raise TypeError(f"it gives {type(made).__name__}, but must give tensors by name")
    for name in spec.outputs:
        if not isinstance(made.get(name), torch.Tensor):
            raise TypeError(f"it gives no tensor for the output {name}")
        if made[name].shape != args[name].shape:
            raise ValueError(f"its {name} is {list(made[name].shape)}, but the output {list(args[name].shape)}")


@contextmanager
def _field(spec: KernelSpec, field: str, case: Case) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{spec.name}: {field} failed on {case}: {type(error).__name__}: {said}") from error
