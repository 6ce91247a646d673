"""Launches of a declared kernel: the configuration tuned for the shape, on the device of its tensors."""

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from .devices import Device, device_of
from .interpreter import complete
from .launcher import Launcher
from .record import Record
from .spec import KernelSpec
from .stage import StageCall
from .tables import Selection, group_entries, read, select

log = logging.getLogger(__name__)


def launch(spec: KernelSpec, args: Mapping[str, Any]) -> None:
    """Run ``spec`` on ``args``: operands and scalars by name, outputs written in place.

    What a launch is made of is found out once for operands of one layout (see `Launcher`); a serving process launches
    a hundred times a step.

    Raises:
        TypeError, ValueError: a tensor does not fit the declaration.
        RuntimeError: ``TRITON_INTERPRET`` was set after the kernel was imported, or the other way round.
    """
    device = device_of(args[spec.first])
    launcher = launcher_of(spec, device)
    layout = launcher.layout(args)
    bound = launcher.known(layout)
    if bound is not None:
        launcher.launch(bound, args)
        return
    spec = launcher.spec
    shape = spec.shape_of(args)
    config = selection(spec, spec.key(shape), device).config
    if device.backend == "interpreter":
        run(spec, args, config, device)
        return
    calls = spec.calls(args, config, device.backend, device.cores)
    _run(spec, calls, interpreting=False)
    launcher.keep(layout, shape, config, calls)


@torch.no_grad()
def run(spec: KernelSpec, args: Mapping[str, Any], config: Record, device: Device) -> None:
    """As `launch`, with this configuration."""
    interpreting = device.backend == "interpreter"
    wide = _widened(args) if interpreting else {}
    calls = spec.calls({**args, **wide}, config, device.backend, device.cores, spec.shape_of(args))
    _run(spec, calls, interpreting)
    for name in wide.keys() & set(spec.outputs):
        written = wide[name].view(torch.int32) != args[name].float().view(torch.int32)
        args[name].copy_(torch.where(written, wide[name].bfloat16(), args[name]))  # rounding would quiet a NaN


def _run(spec: KernelSpec, calls: Iterable[StageCall], interpreting: bool) -> None:
    if interpreting:
        complete()
    for call in calls:
        interpreted = type(call.kernel).__name__ == "InterpretedFunction"
        if interpreted != interpreting:
            raise RuntimeError(
                f"{spec.name} was imported {'with' if interpreted else 'without'} TRITON_INTERPRET=1 and is now "
                f"launched {'without' if interpreted else 'with'} it; set it once, before Python starts"
            )
        call.run()


def _widened(args: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The bf16 tensors as float32, which is exact, so that torch rounds the results back to nearest.

    Triton's interpreter cuts float32 off to bf16 where every device rounds.
    """
    return {
        name: value.float()
        for name, value in args.items()
        if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    }


@functools.lru_cache(maxsize=4096)
def selection(spec: KernelSpec, key: Record, device: Device) -> Selection:
    """The configuration that a launch for ``key`` (see `KernelSpec.key`) takes on ``device``, and why.

    Kept until the process ends, or `forget`: a table written meanwhile is seen by the next process. The logger
    ``cold_kernels.launch`` says each choice once, at level INFO.
    """
    spec = spec.on(device.backend)
    chip = device.chip
    if device.family and not has_group(spec, spec.group_of(key), device):
        like = replace(device, chip=device.family)
        chip = like.chip if has_group(spec, spec.group_of(key), like) else chip
    chosen = select(spec, key, chip, _versions() if device.backend == "ascend" else None)
    log.info("%s %s on %s: %s (%s; %s)", spec.name, key, device.chip, chosen.config, chosen.evidence, chosen.reason)
    return chosen


@functools.lru_cache(maxsize=256)
def has_group(spec: KernelSpec, group: tuple, device: Device) -> bool:
    """Whether a table for the device's chip has entries for a group, as `KernelSpec.group_of` gives it, or for the
    other 16-bit type's."""
    shape = Record(dict.fromkeys(spec.dims, 1), **dict(zip((*spec.group, "dtype"), group, strict=True)))
    return group_entries(spec, shape, read(spec, device.chip)) is not None


@functools.lru_cache(maxsize=256)
def launcher_of(spec: KernelSpec, device: Device) -> Launcher:
    """The bound launches of ``spec``, as it is on this back end, on devices of this kind."""
    return Launcher(spec.on(device.backend), device)


def forget() -> None:
    """Forget which configurations were chosen, and all bound launches: for tables that change in this process."""
    selection.cache_clear()
    has_group.cache_clear()
    launcher_of.cache_clear()


@functools.cache
def _versions() -> dict[str, str]:
    from .ascend.installation import toolchain_versions

    return toolchain_versions()
