"""Registration of the operators as ``torch.ops.cold_kernels.*``."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.compiler import is_dynamo_compiling

from ..bounded import Bounded

DEVICES = ("CPU", "PrivateUse1", "CUDA")
"""Dispatch keys that the operators are registered for; an NPU is PrivateUse1."""

MOST_PASSED = 4096
"""Combinations of sizes and types remembered for an operator."""

_library = torch.library.Library("cold_kernels", "DEF")


def operator(check: Callable, mutates: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """Register the decorated function for `DEVICES`, and give back what calls it through the dispatcher.

    The function is called with arguments that have passed ``check``.

    Args:
        check: Takes the operator's arguments by position, raises if they do not go together and returns what the
            operator would as far as shapes and types go. Sees fake tensors too, so that it must not look at values
            or addresses.
        mutates: Names of the tensors that are written.
    """

    def register(function: Callable) -> Callable:
        name = function.__name__
        define(name, torch.library.infer_schema(function, mutates_args=mutates), function, check)
        return explained(function, check)(getattr(torch.ops.cold_kernels, name).default)

    return register


def define(name: str, schema: str, function: Callable, check: Callable) -> None:
    """Define ``cold_kernels::name``, in which an overload's name may follow after a dot; otherwise as `operator`."""
    _library.define(name + schema)
    once = checked(function, check)
    for key in DEVICES:
        _library.impl(name, once, key)
    _library.impl(name, torch.library.fallthrough_kernel, "Autograd")  # not differentiable
    torch.library.register_fake(f"cold_kernels::{name}", _by_position(function, check), lib=_library)


def checked(function: Callable, check: Callable) -> Callable:
    """The function, after `check` unless arguments like these have passed it before.

    A check sees neither values nor addresses: what it says of tensors follows from their sizes, element types and
    devices. So it is made once for each combination of these, of which `MOST_PASSED` are remembered.
    """
    check = _by_position(function, check)
    passed = Bounded(MOST_PASSED)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        like = tuple([(a.shape, a.dtype, a.device) if isinstance(a, torch.Tensor) else a for a in args])
        if like not in passed:
            check(*args)
            passed.keep(like, True)
        return function(*args)

    return call


def explained(function: Callable, check: Callable) -> Callable[[Callable], Callable]:
    """Decorates what hands arguments of ``function`` to the dispatcher.

    What the dispatcher refuses, being no tensor or on a device without kernels, is refused in our words.
    """
    check = _by_position(function, check)

    def decorate(operator: Callable) -> Callable:
        direct = getattr(operator, "_op", operator)  # what an overload calls, and Dynamo cannot trace

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                if kwargs or is_dynamo_compiling():
                    return operator(*args, **kwargs)
                return direct(*args)
            except RuntimeError:
                check(*args, **kwargs)
                raise

        return call

    return decorate


def without_gradients(function: Callable) -> Callable:
    """``torch.no_grad``, entered only where it changes something: that costs as much as a small operator."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if torch.is_grad_enabled():
            for value in (*args, *named.values()):
                if isinstance(value, torch.Tensor) and value.requires_grad:
                    with torch.no_grad():
                        return function(*args, **named)
        return function(*args, **named)

    return call


def _by_position(function: Callable, check: Callable) -> Callable:
    signature = inspect.signature(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return check(*bound.args)

    return call
