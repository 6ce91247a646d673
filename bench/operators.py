"""The operators on a device's tensors: what is measured where there is an NPU or a GPU."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import cold_kernels
from cold_kernels.cases import Case, errors
from cold_kernels.spec import KernelSpec


@dataclass(frozen=True)
class BenchDevice:
    """A device to measure on.

    Args:
        name: What its results are filed under, a file's name.
        device: Torch's name of it.
        synchronize: Returns when everything launched on it is done.
    """

    name: str
    device: str
    synchronize: Callable[[], None]


def present() -> list[BenchDevice]:
    """The NPU and the GPU of this machine: of each kind the current one."""
    found = []
    if torch.cuda.is_available():
        found.append(BenchDevice(_file_name(torch.cuda.get_device_name()), "cuda", torch.cuda.synchronize))
    try:
        import torch_npu  # noqa: F401
    except ImportError:
        return found
    if torch.npu.is_available():
        found.append(BenchDevice(_file_name(torch.npu.get_device_name()), "npu", torch.npu.synchronize))
    return found


def operator(spec: KernelSpec, args: dict[str, Any]) -> Callable[[], torch.Tensor]:
    """The operator of this spec's name on ``args``; a call gives its output.

    Raises:
        ValueError: there is no such operator.
    """
    function = getattr(cold_kernels, spec.name, None)
    if function is None:
        raise ValueError(f"{spec.name} is no operator; they are {', '.join(cold_kernels.__all__)}")
    if spec.name.startswith("contrastive"):
        return functools.partial(function, args["expert"], args["amateur"], args["log_alpha"].exp(), args["beta"])
    order = ("x", "a", "y", "idx", "scale") if "a" in args else ("x", "b", "y", "idx", "add")
    values = [args[name] for name in order]

    def call() -> torch.Tensor:
        function(*values[:-1], values[-1] if "a" in args else bool(values[-1]))
        return args["y"]

    return call


def on_device(spec: KernelSpec, case: Case, device: BenchDevice) -> dict[str, Any]:
    """The case's tensors, on the device."""
    args = case.tensors(spec)
    return {name: value.to(device.device) if isinstance(value, torch.Tensor) else value for name, value in args.items()}


def wrong(spec: KernelSpec, args: dict[str, Any], output: torch.Tensor) -> str | None:
    """How an output differs from float64, computed on the CPU; None if it is right."""
    host = {name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in args.items()}
    (name,) = spec.outputs
    off = errors(spec, {**host, name: output.cpu()})[name]
    return None if off <= 1 else f"{spec.name}: {name} is {off:.3g} times the allowed error off float64"


def copy_of(size: int, device: BenchDevice) -> Callable[[], None]:
    """A copy on the device that moves ``size`` bytes, half of them read: the floor of the bytes, measured."""
    source = torch.empty(max(1, size // 2), dtype=torch.uint8, device=device.device)
    target = torch.empty_like(source)
    return functools.partial(target.copy_, source)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
