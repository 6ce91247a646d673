"""Functions of torch that ask a device for what one in Python does not have, replaced."""

import functools
from collections.abc import Callable

import torch
from torch.utils import _device

from . import generators

FACTORIES = (
    "arange empty empty_like empty_strided full full_like ones ones_like rand rand_like randint randn randn_like "
    "randperm scalar_tensor tensor zeros zeros_like"
).split()
"""Functions that take ``pin_memory``."""


def replace() -> None:
    """Replace them, once a process."""
    _device._device_constructors()  # keeps the functions that a default device is for, which are called as before
    for name in FACTORIES:
        setattr(torch, name, _unpinned(getattr(torch, name)))
    torch.Generator = generators.NpuGenerator
    torch.compile = _compiled_by_eager(torch.compile)
    torch.accelerator.synchronize = lambda device=None: None
    torch.Tensor.record_stream = lambda tensor, stream: None
    torch.Tensor.pin_memory = lambda tensor, device=None: tensor
    torch.Tensor.is_pinned = lambda tensor, device=None: False


def _unpinned(factory: Callable) -> Callable:
    """A factory whose memory is never pinned: the device lies in the host's memory."""

    @functools.wraps(factory)
    def made(*args, pin_memory=False, **kwargs):
        return factory(*args, **kwargs)

    return made


def _compiled_by_eager(compile: Callable) -> Callable:
    """`torch.compile` that runs what it has traced operator by operator: inductor has no code for the device."""

    @functools.wraps(compile)
    def compiled(model=None, *, backend="inductor", mode=None, options=None, **rest):
        if backend == "inductor":
            return compile(model, backend="eager", **rest)
        return compile(model, backend=backend, mode=mode, options=options, **rest)

    return compiled
