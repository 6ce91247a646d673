"""What a kernel takes: tensors with symbolic dimensions, and numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .dtypes import TORCH, dtype_name


@dataclass(frozen=True)
class TensorArg:
    """A tensor of a kernel. Build it with `In`, `Out`, `Index`, `Derived` or `Workspace`.

    Args:
        dims: Names of its dimensions, in order; equal names must have equal sizes.
        dtypes: Element types that it may have, under Triton's names.
        role: ``input``, ``output``, ``inout``, ``index``, ``derived`` or ``workspace``.
        same_dtype: Another argument whose element type this one shares.
        into: For an index: the dimension that it points into.
        none: For an index: the value that points nowhere.
        make: For an input: what a harness passes, ``make(size, generator) -> tensor``, in place of normally
            distributed numbers.
        like: Another argument whose element type a harness gives this one; callers need not.
        derive: For what follows from other arguments: ``derive(arguments before it) -> tensor``.
        contiguous: Whether it must be contiguous, because the kernel works out its strides from sizes.
    """

    dims: tuple[str, ...]
    dtypes: tuple[str, ...]
    role: str
    same_dtype: str | None = None
    into: str | None = None
    none: int | None = None
    make: Callable[[list[int], torch.Generator], torch.Tensor] | None = None
    like: str | None = None
    derive: Callable[[Mapping[str, Any]], torch.Tensor] | None = None
    contiguous: bool = False

    def __post_init__(self) -> None:
        unknown = [dtype for dtype in self.dtypes if dtype not in TORCH]
        if unknown:
            raise ValueError(f"unknown element type {unknown[0]!r}; use one of {', '.join(TORCH)}")

    def check(self, name: str, value: object) -> None:
        """Raise unless ``value`` is a tensor of this many dimensions and of one of these types."""
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} must be a tensor [{', '.join(self.dims)}], not {type(value).__name__}")
        if value.dim() != len(self.dims):
            wanted = f"{len(self.dims)} dimensions [{', '.join(self.dims)}]"
            raise ValueError(f"{name} must have {wanted}, not shape {list(value.shape)}")
        if self.dtypes and dtype_name(value.dtype) not in self.dtypes:
            raise TypeError(f"{name} must be {' or '.join(self.dtypes)}, not {dtype_name(value.dtype)}")

    def derived(self, args: Mapping[str, Any], size: list[int]) -> torch.Tensor:
        """What a harness passes for what is derived: all of it, or nothing where ``size`` is 0.

        Raises:
            ValueError: it has another size.
        """
        if 0 in size:
            return torch.empty(size, dtype=TORCH[self.dtypes[0]])
        value = self.derive(args)
        if list(value.shape) != size:
            found, given = ("/".join(map(str, sizes)) for sizes in (value.shape, size))
            raise ValueError(f"{'/'.join(self.dims)}={given}; it must be 0, or {found} for these arguments")
        return value


@dataclass(frozen=True)
class ScalarArg:
    """A number of Triton type ``dtype``; ``default`` is what a harness passes.

    It reaches the kernel at run time, or is compiled in where the kernel's parameter is a ``tl.constexpr``.
    """

    dtype: str
    default: float = 1.0


def In(
    dims: str,
    dtypes: str = "",
    *,
    same_dtype: str | None = None,
    make: Callable[[list[int], torch.Generator], torch.Tensor] | None = None,
    contiguous: bool = False,
) -> TensorArg:
    """A tensor that is read."""
    return TensorArg(tuple(dims.split()), tuple(dtypes.split()), "input", same_dtype, make=make, contiguous=contiguous)


def InOut(
    dims: str,
    dtypes: str = "",
    *,
    same_dtype: str | None = None,
    like: str | None = None,
    make: Callable[[list[int], torch.Generator], torch.Tensor] | None = None,
    contiguous: bool = False,
) -> TensorArg:
    """A tensor that is read and written; a reference finds what it held before as ``<name>_before``."""
    return TensorArg(
        tuple(dims.split()), tuple(dtypes.split()), "inout", same_dtype, like=like, make=make, contiguous=contiguous
    )


def Out(dims: str, dtypes: str = "", *, same_dtype: str | None = None, contiguous: bool = False) -> TensorArg:
    """A tensor that is overwritten: a harness fills it with NaN first, and one left over is a failure."""
    return TensorArg(tuple(dims.split()), tuple(dtypes.split()), "output", same_dtype, contiguous=contiguous)


def Index(dims: str, dtypes: str, *, into: str, none: int | None = None) -> TensorArg:
    """A tensor of positions in dimension ``into``; the value ``none`` points nowhere."""
    return TensorArg(tuple(dims.split()), tuple(dtypes.split()), "index", into=into, none=none)


def Derived(dims: str, dtypes: str, *, derive: Callable[[Mapping[str, Any]], torch.Tensor]) -> TensorArg:
    """A tensor that follows from arguments before it, made by the caller, for many launches perhaps."""
    return TensorArg(tuple(dims.split()), tuple(dtypes.split()), "derived", derive=derive)


def Workspace(dims: str, dtype: str) -> TensorArg:
    """A scratch tensor between stages; its dimensions may also be tunables, or `KernelSpec.counts`."""
    return TensorArg(tuple(dims.split()), (dtype,), "workspace")


def Scalar(dtype: str, default: float = 1.0) -> ScalarArg:
    """A number, or a flag (``dtype`` "i1")."""
    return ScalarArg(dtype, default)


@dataclass(frozen=True)
class Pointer:
    """In `Stage.binds`: the parameter is this tensor of the spec."""

    tensor: str


@dataclass(frozen=True)
class Stride:
    """In `Stage.binds`: the parameter is this tensor's stride along ``dim``; 0 if it has no such dimension."""

    tensor: str
    dim: str


@dataclass(frozen=True)
class Fixed:
    """In `Stage.binds`: the parameter always has this value; None stands for a tensor that is not there."""

    value: Any
