"""A kernel's arguments in one line of text, for kernels that have no spec.

x_ptr=*fp16[64,4096] i_ptr=*i64[64]:0..4096 y_ptr=*fp32[64]:nan n=4096 scale=0.5:fp32 TILE=1024
"""

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

import torch

from cold_kernels.ascend.specialization import TYPES
from cold_kernels.dtypes import SIGNATURE, TORCH
from cold_kernels.source import python_function
from cold_kernels.stage import StageCall

from ..parsing import literal, pairs

EXAMPLE = "x_ptr=*fp16[64,4096] y_ptr=*fp16[64,4096]:nan n=4096 TILE=1024"
FILLS = "normal, zeros, ones, nan, arange, a number, or LOW..HIGH"
MOST_BYTES = 1 << 32
_TENSOR = re.compile(r"\*(\w+)\[(\d+(?:[,x]\d+)*)\](?::(\S+))?")
_RANGE = re.compile(r"(-?[\d.]+?)\.\.(-?[\d.]+)")
_ELEMENTS = {SIGNATURE[name]: TORCH[name] for name in SIGNATURE} | TORCH


@dataclass(frozen=True)
class TypedCall(StageCall):
    """A launch whose numbers have the Triton types in ``types``, where they are there."""

    types: dict[str, str] = field(default_factory=dict)

    def specialized(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        signature, constants, arguments = super().specialized()
        return {name: self.types.get(name, kind) for name, kind in signature.items()}, constants, arguments


def bind(kernel: Any, text: str, grid: tuple[int, ...], options: dict[str, Any]) -> TypedCall:
    """The launch of a kernel with the arguments that ``text`` describes; the module's docstring has one.

    ``NAME=*TYPE[SIZES]:FILL`` is a contiguous tensor, ``NAME=VALUE:TYPE`` a number at run time, whose type may be left
    out (i32 or i64, fp32, i1), and ``NAME=VALUE`` is compiled in where the parameter is a ``tl.constexpr``. FILL is
    ``normal`` (which floats are unless told otherwise), ``zeros`` (integers), ``ones``, ``nan``, ``arange``, a number,
    or ``LOW..HIGH``: random from LOW to below HIGH.

    Raises:
        ValueError: a word that reads otherwise, a name that is no parameter, a parameter without an argument.
    """
    parameters = inspect.signature(python_function(kernel)).parameters
    constexprs = {name for name, parameter in parameters.items() if "constexpr" in str(parameter.annotation)}
    arguments: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name, value in pairs(text, EXAMPLE):
        if name not in parameters:
            raise ValueError(f"{kernel.__name__} has no parameter {name!r}; it has {', '.join(parameters)}")
        if name in constexprs:
            constants[name] = _constant(name, value)
        elif value.startswith("*"):
            arguments[name] = _tensor(name, value)
        elif value == "None":
            constants[name] = None
        else:
            arguments[name], kind = _number(name, value)
            if kind:
                types[name] = kind
    for name, parameter in parameters.items():
        if (
            name not in arguments
            and name not in constants
            and not (name in constexprs and parameter.default is not parameter.empty)
        ):
            wanted = (
                f"{name}=VALUE, which is compiled in" if name in constexprs else f"{name}=*fp16[SIZES] or {name}=VALUE"
            )
            raise ValueError(f"parameter {name} of {kernel.__name__} has no argument in --signature: write {wanted}")
    ordered = {name: arguments[name] for name in parameters if name in arguments}
    return TypedCall(kernel, grid, ordered, constants, options, types)


def _tensor(name: str, text: str) -> torch.Tensor:
    found = _TENSOR.fullmatch(text)
    if not found:
        raise ValueError(
            f"cannot read {name}={text}; a tensor is NAME=*TYPE[SIZES] or NAME=*TYPE[SIZES]:FILL, as in {EXAMPLE!r}"
        )
    element, sizes, fill = found.groups()
    if element not in _ELEMENTS:
        raise ValueError(f"{name} has the unknown element type {element!r}; use one of {', '.join(_ELEMENTS)}")
    dtype, shape = _ELEMENTS[element], [int(size) for size in re.split("[,x]", sizes)]
    count = torch.Size(shape).numel()
    if count * dtype.itemsize > MOST_BYTES:
        raise ValueError(f"{name} has {count * dtype.itemsize} bytes; at most {MOST_BYTES} are simulated")
    return _filled(name, shape, dtype, fill or ("normal" if dtype.is_floating_point else "zeros"))


def _filled(name: str, shape: list[int], dtype: torch.dtype, fill: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    bounds, number = _RANGE.fullmatch(fill), literal(fill)
    if fill == "normal" and dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    if fill == "arange":
        return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)
    if fill in ("zeros", "ones") or (fill == "nan" and dtype.is_floating_point):
        return torch.full(shape, {"zeros": 0, "ones": 1, "nan": torch.nan}[fill], dtype=dtype)
    if bounds and float(bounds[1]) < float(bounds[2]):
        low, high = map(float, bounds.groups())
        values = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
        return (values if dtype.is_floating_point else values.floor()).to(dtype)
    if isinstance(number, (int, float)):
        return torch.full(shape, number, dtype=dtype)
    kind = "floats" if dtype.is_floating_point else "integers, which have no normal and no nan,"
    raise ValueError(f"{name} cannot be filled with {fill!r}; {kind} take {FILLS}")


def _number(name: str, text: str) -> tuple[int | float | bool, str]:
    text, _, kind = text.partition(":")
    value = literal(text)
    if not isinstance(value, (int, float)):
        raise ValueError(
            f"cannot read {name}={text}; a tensor is {name}=*fp16[SIZES], a number {name}=4096 or {name}=4096:i32"
        )
    if kind and kind not in TYPES:
        raise ValueError(f"{name} has the unknown type {kind!r}; use one of {', '.join(TYPES)}")
    if kind and kind[0] in "iu" and isinstance(value, float):
        raise ValueError(f"{name}={text}:{kind}: {text} is no integer")
    return (float(value) if kind.startswith(("fp", "bf")) else value), kind


def _constant(name: str, text: str) -> Any:
    value = literal(text)
    if text.startswith("*") or (isinstance(value, str) and ":" in text):
        raise ValueError(f"{name}={text}: {name} is a tl.constexpr; write its value alone, as {name}=1024")
    if isinstance(value, str) and text.startswith("tl."):
        import triton.language as tl

        if not isinstance(found := getattr(tl, text[3:], None), tl.dtype):
            raise ValueError(f"{name}={text}: triton.language has no such type")
        return found
    return value
