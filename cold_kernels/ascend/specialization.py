"""Checks what a kernel is to be compiled for, before any process starts."""

import inspect
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

from ..source import python_function

TYPES = "i1 i8 i16 i32 i64 u1 u8 u16 u32 u64 fp16 bf16 fp32 fp64 fp8e4nv fp8e4b8 fp8e4b15 fp8e5 fp8e5b16".split()
"""Triton's scalar types; a pointer to one is written with a star before it."""


@dataclass(frozen=True)
class Specialization:
    """The complete and checked choice, all in the kernel's parameter order and fit for JSON."""

    signature: dict[str, str]
    constants: dict[str, object]
    divisible_by_16: list[str]


def specialize(
    fn, signature: Mapping[str, str], constants: Mapping[str, object], attrs: Mapping[str, int] | None
) -> Specialization:
    """Settles each parameter of the kernel; `compile_kernel` documents the arguments.

    Raises:
        ValueError: A parameter is left out or given twice, a name is no parameter, or a type or value is none
            that Triton knows; names it.
    """
    kernel = python_function(fn)
    parameters = inspect.signature(kernel).parameters
    attrs = dict(attrs or {})
    for source, given in (("signature", signature), ("constants", constants), ("attrs", attrs)):
        for name in given:
            if name not in parameters:
                known = ", ".join(parameters)
                raise ValueError(f"{source} names {name!r}, which {kernel.__name__} does not take; it takes {known}")
    run_time: dict[str, str] = {}
    fixed: dict[str, object] = {}
    for name, parameter in parameters.items():
        is_constexpr = "constexpr" in str(parameter.annotation)
        if name in signature and name in constants:
            raise ValueError(f"{name!r} is in the signature and in the constants: it can be one of them")
        if name in signature and is_constexpr:
            raise ValueError(f"{name!r} is a tl.constexpr of {kernel.__name__}: give its value in constants")
        if name in signature:
            run_time[name] = _checked_type(name, signature[name])
        elif name in constants:
            fixed[name] = _checked_constant(name, constants[name])
        elif is_constexpr and parameter.default is not parameter.empty:
            fixed[name] = _checked_constant(name, parameter.default)
        else:
            wanted = "a value in constants" if is_constexpr else "a type in signature"
            raise ValueError(f"parameter {name!r} of {kernel.__name__} has neither type nor value: give {wanted}")
    for name, promise in attrs.items():
        if name not in run_time:
            raise ValueError(f"attrs speaks of {name!r}, which is no run-time argument")
        if promise not in (1, 16) or (promise == 1 and run_time[name][0] not in "iu"):
            raise ValueError(
                f"attrs[{name!r}] = {promise!r}: 16 (divisible by 16) or, for an integer, 1 (equal to one)"
            )
        if promise == 1:
            del run_time[name]
    in_order = {name: 1 if attrs.get(name) == 1 else fixed.get(name) for name in parameters if name not in run_time}
    return Specialization(run_time, in_order, [name for name in run_time if attrs.get(name) == 16])


def _checked_type(name: str, written) -> str:
    scalar = written.removeprefix("*").removeprefix("k") if isinstance(written, str) else None
    if scalar not in TYPES:
        known = ", ".join(TYPES)
        raise ValueError(f"{name!r} has the unknown type {written!r}; known: {known}, and pointers as '*fp16'")
    return written


def _checked_constant(name: str, value):
    value = getattr(value, "value", value) if type(value).__name__ == "constexpr" else value
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, Integral):
        return operator.index(value)
    if type(value).__name__ == "dtype" and type(value).__module__.split(".")[0] == "triton":
        return {"dtype": value.name}
    raise ValueError(
        f"constant {name!r} is {value!r} ({type(value).__name__}); wanted: a number, bool, string, None or tl.dtype"
    )
