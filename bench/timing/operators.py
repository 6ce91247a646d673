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


def _lora(function: Callable, *names: str) -> Callable[[dict], Callable[[], torch.Tensor]]:
    """An operator that takes these arguments of the spec in this order, and writes ``y``."""

    def of(args: dict[str, Any]) -> Callable[[], torch.Tensor]:
        values = [_row_order(args, name) if name in ("order", "tiles") else args[name] for name in names]

        def call() -> torch.Tensor:
            function(*values)
            return args["y"]

        return call

    return of


def _row_order(args: dict[str, Any], name: str) -> torch.Tensor | None:
    return cold_kernels.lora_row_order(args["idx"]) if args[name].numel() else None


def _by_sequence(decode: Callable, prefill: Callable, *names: str) -> Callable[[dict], Callable[[], torch.Tensor]]:
    """The operator of the rows' indices, or where the case has sequences the one of theirs."""

    def of(args: dict[str, Any]) -> Callable[[], torch.Tensor]:
        *operands, last = (_factor(args) if name == "scale" else args[name] for name in names)
        if not args["lengths"].numel():
            return _lora(decode, *names[:3], "idx", "last")({**args, "last": last})
        lengths, slots, rows = args["lengths"], args["slots"], len(args["y"])
        sequences = (lengths.cumsum(0) - lengths, lengths, slots, len(slots), int(lengths.max()), rows)

        def call() -> torch.Tensor:
            prefill(*operands, *sequences, last)
            return args["y"]

        return call

    return of


def _factor(args: dict[str, Any]) -> float:
    """What a shrink multiplies by: the kernel is told apart from its number whether it does at all."""
    return args["scale"] if args["scaled"] else 1.0


def _contrastive(function: Callable, *names: str) -> Callable[[dict], Callable[[], torch.Tensor]]:
    """An operator on logits that takes these arguments of the spec behind alpha and beta, and returns its output."""
    return lambda args: functools.partial(
        function, args["expert"], args["amateur"], args["log_alpha"].exp(), args["beta"], *(args[n] for n in names)
    )


BOTH = "x", "a", "b", "y", "idx", "starts", "scale", "add"

CALLS = {
    "bgmv_shrink": _lora(cold_kernels.bgmv_shrink, "x", "a", "y", "idx", "scale"),
    "bgmv_expand": _lora(cold_kernels.bgmv_expand, "x", "b", "y", "idx", "add"),
    "bgmv_shrink_expand": _lora(cold_kernels.bgmv_shrink_expand, *BOTH, "order"),
    "bgmv_shrink_expand_cube": _lora(cold_kernels.bgmv_shrink_expand, *BOTH, "tiles"),
    "bgmv_shrink_cube": _by_sequence(cold_kernels.bgmv_shrink, cold_kernels.sgmv_shrink, "x", "a", "y", "scale"),
    "bgmv_expand_cube": _by_sequence(cold_kernels.bgmv_expand, cold_kernels.sgmv_expand, "x", "b", "y", "add"),
    "contrastive_score": _contrastive(cold_kernels.contrastive_score),
    "contrastive_argmax": _contrastive(cold_kernels.contrastive_argmax),
    "contrastive_sample": _contrastive(cold_kernels.contrastive_sample, "temperature", "top_k", "top_p", "uniform"),
}
"""For each kernel that is measured on devices, the call of its operator on the spec's arguments."""


def operator(spec: KernelSpec, args: dict[str, Any]) -> Callable[[], torch.Tensor]:
    """The operator of this spec's name on ``args``; a call gives its output.

    Raises:
        ValueError: nobody has said how the spec's arguments become the operator's.
    """
    if spec.name not in CALLS:
        raise ValueError(f"{spec.name}: bench/timing/operators.py knows how to call only {', '.join(CALLS)}")
    return CALLS[spec.name](args)


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
