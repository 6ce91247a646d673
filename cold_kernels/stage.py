"""One launch of a kernel: which Triton function, on which grid, with which arguments."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .arguments import TensorArg
from .dtypes import SIGNATURE, dtype_name
from .record import Record

POINTER, STRIDE = "_ptr", "_stride_"


@dataclass(frozen=True)
class StageCall:
    """A launch with everything bound: what a device runs and a compiler compiles.

    Args:
        kernel: The Triton function.
        grid: Programs along each axis.
        arguments: Run-time arguments by name, in the kernel's order.
        constants: ``tl.constexpr`` arguments by name.
        options: Launch options in the words of the back end's Triton.
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    constants: dict[str, Any]
    options: dict[str, Any]

    def run(self) -> None:
        """Launch through Triton, on the device that holds the tensors (or interpreted)."""
        self.kernel[self.grid](**self.arguments, **self.constants, **self.options)

    def specialized(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        """``(signature, constants, arguments)`` as Triton's own launch would compile them.

        An integer equal to 1 becomes a constant unless the kernel forbids it by ``do_not_specialize``.
        """
        fixed = _unspecialized(self.kernel)
        ones = {
            name: value
            for name, value in self.arguments.items()
            if isinstance(value, int) and not isinstance(value, bool) and value == 1 and name not in fixed
        }
        arguments = {name: value for name, value in self.arguments.items() if name not in ones}
        signature = {name: _triton_type(value) for name, value in arguments.items()}
        return signature, self.constants | ones, arguments


@dataclass(frozen=True)
class Stage:
    """One launch of a `KernelSpec`.

    The kernel's parameters are bound by name: ``<tensor>_ptr``, ``<tensor>_stride_<DIM>`` (0 where the tensor
    lacks that dimension), a scalar, a dimension or a tunable. A stride that the kernel does not take must be 1.

    Args:
        kernel: A ``@triton.jit`` function.
        grid: ``grid(config, shape, cores) -> programs along each axis``.
        when: ``when(config, shape)``: whether this stage is launched at all.
        tensors: The spec's name for each of the kernel's tensors that goes by another one.
    """

    kernel: Any
    grid: Callable[[Record, Record, int], tuple[int, ...]]
    when: Callable[[Record, Record], bool] = lambda config, shape: True
    tensors: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.kernel.fn).parameters

    @functools.cached_property
    def constexprs(self) -> frozenset[str]:
        """The parameters that are compiled in."""
        return frozenset(name for name, p in self.parameters.items() if "constexpr" in str(p.annotation))

    def tensor(self, parameter: str) -> str | None:
        """The spec's tensor that ``parameter`` points to or is a stride of; None if it is neither."""
        for mark in (POINTER, STRIDE):
            stem, found, _ = parameter.partition(mark)
            if found:
                return self.tensors.get(stem, stem)
        return None

    def uses(self) -> tuple[str, ...]:
        """The spec's tensors that this stage touches."""
        return self._used

    def given(self, args: Iterable[str]) -> dict[str, str]:
        """The parameters that take a tensor or number of ``args`` as it is, each with the spec's name of it."""
        found = {}
        for parameter in self.parameters:
            tensor = self.tensor(parameter)
            if tensor is None and parameter in args:
                found[parameter] = parameter
            elif tensor is not None and parameter.endswith(POINTER):
                found[parameter] = tensor
        return found

    @functools.cached_property
    def _used(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tensor for tensor, _ in self._sources.values() if tensor))

    @functools.cached_property
    def _pointed(self) -> frozenset[str]:
        """The tensors that the kernel has a pointer to."""
        return frozenset(tensor for name, (tensor, _) in self._sources.items() if tensor and name.endswith(POINTER))

    @functools.cached_property
    def _sources(self) -> Mapping[str, tuple[str | None, str]]:
        """For each parameter its tensor, and the dimension whose stride it is, if any."""
        return {name: (self.tensor(name), name.partition(STRIDE)[2]) for name in self.parameters}

    def check(self, spec: str, tensors: Iterable[str], others: Iterable[str]) -> None:
        """Raise ValueError for a parameter that nothing would bind: ``others`` are no tensors."""
        for name in self.parameters:
            tensor = self.tensor(name)
            dim = name.partition(STRIDE)[2]
            if tensor is None:
                bound = name in others
            else:
                bound = tensor in tensors and (dim in others if dim else name.endswith(POINTER))
            if not bound:
                raise ValueError(
                    f"{spec}: parameter {name!r} of {self.kernel.__name__} is bound by nothing; it must be "
                    f"<tensor>_ptr or <tensor>_stride_<DIM> of {', '.join(tensors)}, or one of {', '.join(others)}"
                )

    def bind(
        self,
        values: Mapping[str, Any],
        constants: Mapping[str, Any],
        tensors: Mapping[str, TensorArg],
        grid: tuple[int, ...],
        options: dict[str, Any],
    ) -> StageCall:
        """Bind every parameter: tensors and scalars from ``values``, sizes and tunables from ``constants``."""
        bound = {name: self._value(name, *source, values, constants, tensors) for name, source in self._sources.items()}
        for name in self.uses():
            # A workspace is always contiguous: a kernel may derive its strides. Without a pointer a tensor is not read.
            if tensors[name].role != "workspace" and name in self._pointed:
                self._check_strides(name, values[name], tensors[name])
        return StageCall(
            self.kernel,
            grid,
            {name: value for name, value in bound.items() if name not in self.constexprs},
            {name: value for name, value in bound.items() if name in self.constexprs},
            options,
        )

    def _value(
        self,
        name: str,
        tensor: str | None,
        dim: str,
        values: Mapping[str, Any],
        constants: Mapping[str, Any],
        tensors: Mapping[str, TensorArg],
    ) -> Any:
        if tensor is None:
            return values[name] if name in values else constants[name]
        if name.endswith(POINTER):
            return values[tensor]
        dims = tensors[tensor].dims
        return values[tensor].stride(dims.index(dim)) if dim in dims else 0

    def _check_strides(self, name: str, value: torch.Tensor, arg: TensorArg) -> None:
        stems = [*(mine for mine, theirs in self.tensors.items() if theirs == name), name]
        for dim, size, stride in zip(arg.dims, value.shape, value.stride(), strict=True):
            taken = any(f"{stem}{STRIDE}{dim}" in self.parameters for stem in stems)
            if stride != 1 and size > 1 and not taken:
                raise ValueError(f"{name} must be contiguous along {dim}, but its stride there is {stride}")


def _unspecialized(kernel: Any) -> set[str]:
    listed = getattr(kernel, "do_not_specialize", None)
    if listed is None:  # an interpreted function keeps what @triton.jit was told in its rewriter
        listed = kernel.rewriter.kwargs.get("do_not_specialize") or ()
    names = list(inspect.signature(kernel.fn).parameters)
    return {names[item] if isinstance(item, int) else item for item in listed}


def _triton_type(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return "*" + SIGNATURE[dtype_name(value.dtype)]
    if isinstance(value, bool):
        return "i1"
    if isinstance(value, int):
        return "i32" if -(2**31) <= value < 2**31 else "i64"
    return "fp32"
