"""The device that holds a tensor, as far as a launch must know it."""

import functools
import os
from dataclasses import dataclass
from typing import Any

import torch

INTERPRETED_CORES = 4
PROGRAMS = 16
"""What a GPU's multiprocessor holds of programs of four warps: 64 warps on NVIDIA (CUDA C++ Programming Guide, compute
capabilities 8.0 and 9.0), where a program may have more of them, or too many registers for so many."""


@dataclass(frozen=True)
class Device:
    """Where kernels run.

    Args:
        backend: ``ascend``, ``cuda`` or ``interpreter``.
        chip: The name that tables are filed under.
        cores: Programs that run beside each other; what a grid is sized for.
        family: Of a GPU the architecture, whose tables count where its own name has none for a group; "" elsewhere.
    """

    backend: str
    chip: str
    cores: int
    family: str = ""


def interpreting() -> bool:
    """Whether the process runs Triton kernels in Triton's interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def in_torch(tensor: torch.Tensor) -> bool:
    """Whether operators do their work on such tensors in torch, and launch no kernel."""
    return tensor.is_cpu and in_torch_on_cpu()


def in_torch_on_cpu() -> bool:
    """`in_torch` of CPU tensors."""
    return not interpreting()


def device_of(tensor: torch.Tensor) -> Device:
    """The device that a kernel on ``tensor`` is launched on.

    Raises:
        ValueError: no kernel runs on tensors of this kind.
    """
    return _device(tensor.device, tensor.is_cpu and interpreting())


def forget() -> None:
    """Ask devices anew: a simulated one changes its chip."""
    _device.cache_clear()


@functools.cache
def _device(device: torch.device, interpreted: bool) -> Device:
    kind, index = device.type, device.index or 0
    if interpreted:
        return Device("interpreter", "interpreter", INTERPRETED_CORES)
    if kind == "npu":
        from triton.runtime.driver import driver

        properties = driver.active.utils.get_device_properties(index)
        return Device("ascend", torch.npu.get_device_name(index), properties["num_vectorcore"])
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(index)
        cores = properties.multi_processor_count * PROGRAMS
        return Device("cuda", properties.name.replace(" ", "_"), cores, _family(properties))
    raise ValueError(
        f"no kernel runs on {kind} tensors; use npu or cuda tensors, or set TRITON_INTERPRET=1 for cpu tensors"
    )


def _family(properties: Any) -> str:
    """``sm_90``, or AMD's ``gfx942`` without what follows a colon."""
    arch = getattr(properties, "gcnArchName", "") if torch.version.hip else ""
    return arch.partition(":")[0] or f"sm_{properties.major}{properties.minor}"
