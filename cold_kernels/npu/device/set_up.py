"""Registers the simulated device with torch, once a process: torch cannot let go of a device again."""

import torch
from torch.utils import backend_registration

from ...ascend.chips import Chip
from . import files, operators
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
