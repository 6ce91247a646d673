"""Functions of torch that ask a device for what one in Python does not have, replaced while the device is in use."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.jit import _builtins
from torch.utils import _device, _pytree

from . import generators
from .memory import allocated

FACTORIES = (
    "arange empty empty_like empty_strided full full_like ones ones_like rand rand_like randint randn randn_like "
    "randperm scalar_tensor tensor zeros zeros_like"
).split()
"""Functions that take ``pin_memory``."""
_PINNED = "_simulated_pinned"
_before: list[tuple[Any, str, Any]] = []


def replace() -> None:
    """Replace them, if they are not replaced already."""
    if _before:
        return
    _device._device_constructors()  # keeps the functions that a default device is for, which are called as before
    names = {name: _builtins._find_builtin(getattr(torch, name)) for name in FACTORIES}
    for name, builtin in names.items():
        _put(torch, name, _unpinned(getattr(torch, name)))
        if builtin is not None:  # TorchScript knows functions by their identity
            _builtins._register_builtin(getattr(torch, name), builtin)
    _put(torch, "Generator", generators.Generator)
    _put(torch, "compile", _compiled(torch.compile))
    _put(torch.Tensor, "record_stream", lambda tensor, stream: None)
    _put(torch.Tensor, "pin_memory", lambda tensor, device=None: _pinned(tensor.clone()))
    _put(torch.Tensor, "is_pinned", lambda tensor, device=None: getattr(tensor, _PINNED, False))
    _put(torch.UntypedStorage, "__new__", _storage)
    for name in ("synchronize", "empty_cache", "memory_allocated", "memory_reserved", "max_memory_allocated"):
        _put(torch.accelerator, name, getattr(torch.npu, name))
    _put(torch.accelerator, "get_memory_info", torch.npu.mem_get_info)


def put_back() -> None:
    """Undo `replace`."""
    while _before:
        owner, name, value = _before.pop()
        if value is None:
            delattr(owner, name)
        else:
            setattr(owner, name, value)


def _put(owner: Any, name: str, value: Any) -> None:
    _before.append((owner, name, vars(owner).get(name)))
    setattr(owner, name, value)


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    setattr(tensor, _PINNED, True)
    return tensor


def _unpinned(factory: Callable) -> Callable:
    """A factory whose memory is never pinned in fact: the device lies in the host's memory."""

    @functools.wraps(factory)
    def made(*args, pin_memory=False, **kwargs):
        tensor = factory(*args, **kwargs)
        return _pinned(tensor) if pin_memory else tensor

    return made


def _storage(cls, *args, device=None, **kwargs):
    """A storage; of the device, it is that of a new tensor, as the device has no allocator that C++ could ask."""
    if device is None or torch.device(device).type != "npu":
        more = {} if device is None else {"device": device}
        return torch._C.StorageBase.__new__(cls, *args, **more, **kwargs)
    (size,) = args or (0,)
    if not isinstance(size, int):
        raise NotImplementedError("a storage on npu is made from a number of bytes")
    return allocated(torch.empty(size, dtype=torch.uint8)).untyped_storage()


def _compiled(compile: Callable) -> Callable:
    """`torch.compile` that runs graphs on the device operator by operator, for which inductor has no code."""

    @functools.wraps(compile)
    def compiled(model=None, *, backend="inductor", mode=None, options=None, dynamic=None, **rest):
        if backend != "inductor":
            return compile(model, backend=backend, mode=mode, options=options, dynamic=dynamic, **rest)
        inductor = torch._TorchCompileInductorWrapper(mode, options, dynamic)

        def chosen(graph, inputs):
            tensors = (value for value in _pytree.tree_leaves(inputs) if isinstance(value, torch.Tensor))
            return graph.forward if any(value.device.type == "npu" for value in tensors) else inductor(graph, inputs)

        return compile(model, backend=chosen, dynamic=dynamic, **rest)

    return compiled
