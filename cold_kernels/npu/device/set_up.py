"""Registers the simulated device with torch, once a process: torch cannot let go of a device again."""

import functools
from collections.abc import Callable

import torch
from torch.utils import backend_registration

from ...ascend.chips import Chip
from . import files, generators, operators
from .module import device_module

_setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)


def set_up(chip: Chip) -> None:
    """Make ``npu`` a device of torch, or change the chip that it stands for.

    Raises:
        RuntimeError: torch is too old, or another device of its kind is registered.
    """
    module = device_module(chip)
    if operators.registered():
        torch.npu.__dict__.update(module.__dict__)
        return
    if _setup is None:
        raise RuntimeError(
            f"torch {torch.__version__} has no Python back ends for devices; install torch 2.13 or newer"
        )
    if (other := torch._C._get_privateuse1_backend_name()) != "privateuseone":
        raise RuntimeError(
            f"torch's device for others is {other!r} already; the simulated NPU needs a process of its own"
        )
    _setup("npu", module)
    operators.register()
    files.register()
    torch.Generator = generators.NpuGenerator
    torch.compile = _compiled_by(torch.compile)
    torch.Tensor.record_stream = lambda tensor, stream: None
    torch.Tensor.pin_memory = lambda tensor, device=None: tensor
    torch.Tensor.is_pinned = lambda tensor, device=None: False


def _compiled_by(compile: Callable) -> Callable:
    """`torch.compile` that runs what it has traced operator by operator: inductor has no code for the device."""

    @functools.wraps(compile)
    def compiled(model=None, *, backend="inductor", mode=None, options=None, **rest):
        if backend == "inductor":
            return compile(model, backend="eager", **rest)
        return compile(model, backend=backend, mode=mode, options=options, **rest)

    return compiled
