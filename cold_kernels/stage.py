"""One launch of a kernel: which Triton function, on which grid, with which arguments."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .arguments import Fixed, Pointer, Stride, TensorArg
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
    lacks that dimension), a scalar, a dimension or a tunable; ``binds`` says it of parameters that go by other names.
    A stride that the kernel does not take must be 1, unless the tensor is declared contiguous.

    Args:
        kernel: A ``@triton.jit`` function; ``@triton.autotune``, ``@triton.heuristics`` and `tuned` are taken off.
        grid: ``grid(config, shape, cores) -> programs along each axis``.
        when: ``when(config, shape)``: whether this stage is launched at all.
        tensors: The spec's name for each of the kernel's tensors that goes by another one.
        binds: By parameter, what it takes whatever its name: `Pointer`, `Stride` or `Fixed`.
    """

    kernel: Any
    grid: Callable[[Record, Record, int], tuple[int, ...]]
    when: Callable[[Record, Record], bool] = lambda config, shape: True
    tensors: Mapping[str, str] = field(default_factory=dict)
    binds: Mapping[str, Pointer | Stride | Fixed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", undecorated(self.kernel))
        if unknown := [name for name in self.binds if name not in self.parameters]:
            known = ", ".join(self.parameters)
            raise ValueError(f"binds: {unknown[0]!r} is no parameter of {self.kernel.__name__}, which has {known}")

    @functools.cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.kernel.fn).parameters

    @functools.cached_property
    def constexprs(self) -> frozenset[str]:
        """The parameters that are compiled in."""
        return frozenset(name for name, p in self.parameters.items() if "constexpr" in str(p.annotation))

    def tensor(self, parameter: str) -> str | None:
        """The spec's tensor that ``parameter`` points to or is a stride of; None if it is neither."""
        if parameter in self.binds:
            return getattr(self.binds[parameter], "tensor", None)
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
            if tensor is None and parameter in args and parameter not in self.binds:
                found[parameter] = parameter
            elif tensor is not None and parameter in self._pointers:
                found[parameter] = tensor
        return found

    @functools.cached_property
    def _used(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tensor for tensor, _ in self._sources.values() if tensor))

    @functools.cached_property
    def _pointed(self) -> frozenset[str]:
        """The tensors that the kernel has a pointer to."""
        return frozenset(tensor for name, (tensor, _) in self._sources.items() if name in self._pointers)

    @functools.cached_property
    def _pointers(self) -> frozenset[str]:
        """The parameters that take a tensor."""
        named = {name for name in self.parameters if name.endswith(POINTER) and name not in self.binds}
        return frozenset(named | {name for name, bind in self.binds.items() if isinstance(bind, Pointer)})

    @functools.cached_property
    def _sources(self) -> Mapping[str, tuple[str | None, str]]:
        """For each parameter its tensor, and the dimension whose stride it is, if any."""
        return {name: (self.tensor(name), self._dim(name)) for name in self.parameters}

    def _dim(self, parameter: str) -> str:
        """The dimension whose stride a parameter is; "" if it is none."""
        bind = self.binds.get(parameter)
        return getattr(bind, "dim", "") if bind else parameter.partition(STRIDE)[2]

    def check(self, spec: str, tensors: Iterable[str], others: Iterable[str]) -> None:
        """Raise ValueError for a parameter that nothing would bind: ``others`` are no tensors."""
        for name in self.parameters:
            tensor = self.tensor(name)
            dim = self._dim(name)
            if tensor is None:
                bound = name in others or name in self.binds
            else:
                bound = tensor in tensors and (dim in others if dim else name in self._pointers)
            if not bound:
                raise ValueError(
                    f"{spec}: parameter {name!r} of {self.kernel.__name__} is bound by nothing; it must be "
                    f"<tensor>_ptr or <tensor>_stride_<DIM> of {', '.join(tensors)}, or one of {', '.join(others)}, "
                    f"or be named in binds"
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
        constants_of = {name for name in bound if name in self.constexprs or bound[name] is None}
        return StageCall(
            self.kernel,
            grid,
            {name: value for name, value in bound.items() if name not in constants_of},
            {name: value for name, value in bound.items() if name in constants_of},
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
        if isinstance(self.binds.get(name), Fixed):
            return self.binds[name].value
        if tensor is None:
            return values[name] if name in values else constants[name]
        if name in self._pointers:
            return values[tensor]
        dims = tensors[tensor].dims
        return values[tensor].stride(dims.index(dim)) if dim in dims else 0

    def _check_strides(self, name: str, value: torch.Tensor, arg: TensorArg) -> None:
        if arg.contiguous:
            if not value.is_contiguous():
                raise ValueError(f"{name} must be contiguous, but its strides are {value.stride()}")
            return
        stems = [*(mine for mine, theirs in self.tensors.items() if theirs == name), name]
        for dim, size, stride in zip(arg.dims, value.shape, value.stride(), strict=True):
            taken = any(f"{stem}{STRIDE}{dim}" in self.parameters for stem in stems)
            taken |= Stride(name, dim) in self.binds.values()
            if stride != 1 and size > 1 and not taken:
                raise ValueError(f"{name} must be contiguous along {dim}, but its stride there is {stride}")


def undecorated(kernel: Any) -> Any:
    """The ``@triton.jit`` function under ``@triton.autotune``, ``@triton.heuristics`` or `tuned`."""
    while hasattr(kernel, "fn") and hasattr(kernel.fn, "fn"):
        kernel = kernel.fn
    return kernel


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
