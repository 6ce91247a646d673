"""Launches of a kernel on a device, bound once for each layout of its operands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .bounded import Bounded
from .devices import Device
from .dtypes import TORCH
from .record import Record
from .spec import KernelSpec
from .stage import StageCall

MOST_LAYOUTS = 1024
"""Kept for a kernel and device: a model has a few for each number of rows, and serving sees many numbers."""

Layout = tuple[Any, ...]
"""Sizes, strides and element type of each operand. The number of rows is in it, as the tuned configuration and the grid
depend on it; which tensors they are, and numbers such as a scaling, are not."""


@dataclass(frozen=True)
class BoundCall:
    """A launch of which all is known but tensors and numbers.

    Args:
        kernel: The Triton function.
        grid: Programs along each axis.
        named: Arguments, constants and options by name; what ``given`` lists is still missing.
        given: The kernel's parameters that take a tensor or number, each with the spec's name of it.
    """

    kernel: Any
    grid: tuple[int, ...]
    named: Mapping[str, Any]
    given: tuple[tuple[str, str], ...]

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All that Triton's launcher takes by name."""
        named = dict(self.named)
        for parameter, name in self.given:
            named[parameter] = values[name]
        return named


@dataclass(frozen=True)
class Bound:
    """What a kernel's work takes for one layout.

    Args:
        calls: The launches, in order.
        workspaces: Name, size and element type of each scratch tensor, which every launch makes anew: one that was kept
            would be written by two launches on two streams, and would not belong to a graph that is captured.
    """

    calls: tuple[BoundCall, ...]
    workspaces: tuple[tuple[str, tuple[int, ...], torch.dtype], ...]


class Launcher:
    """Launches ``spec`` on ``device`` again for layouts of operands that it has seen.

    For others the caller takes the general way, `KernelSpec.calls`, which also explains what is wrong with arguments,
    and has its result kept by `keep`. At most `MOST_LAYOUTS` are kept.
    """

    def __init__(self, spec: KernelSpec, device: Device) -> None:
        self.spec, self.device = spec, device
        self._operands = tuple(spec.operands)
        self._count = len(spec.operands) + len(spec.scalars)
        self._first = self._operands[0]
        self._bound = Bounded(MOST_LAYOUTS)

    def layout(self, args: Mapping[str, Any]) -> Layout | None:
        """What a bound launch on ``args`` depends on; None where they are not just the spec's own."""
        if len(args) != self._count:
            return None
        try:
            tensors = [args[name] for name in self._operands]
            return tuple([(tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors])
        except (AttributeError, KeyError, RuntimeError, TypeError):  # missing, no tensor, or one without strides
            return None

    def known(self, layout: Layout | None) -> Bound | None:
        """What was kept for this layout."""
        return self._bound.get(layout)

    def launch(self, bound: Bound, args: Mapping[str, Any]) -> None:
        """Run what was bound, on tensors of the same layout."""
        for call, arguments in zip(bound.calls, self.arguments(bound, args), strict=True):
            call.kernel[call.grid](**arguments)

    def arguments(self, bound: Bound, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What Triton's launcher takes by name in each launch; workspaces are made here."""
        if bound.workspaces:
            device, args = args[self._first].device, dict(args)
            for name, size, dtype in bound.workspaces:
                args[name] = torch.empty(size, dtype=dtype, device=device)
        return [call.arguments(args) for call in bound.calls]

    def keep(self, layout: Layout | None, shape: Record, config: Record, calls: Iterable[StageCall]) -> None:
        """Keep the launches that `KernelSpec.calls` has made for this layout, without their tensors and numbers."""
        if layout is None:
            return
        spec = self.spec
        stages = [stage for stage in spec.stages if stage.when(config, shape)]
        names = dict.fromkeys(name for stage in stages for name in stage.uses() if name not in spec.operands)
        workspaces = [(name, spec.workspace_size(name, config, shape)) for name in names]
        bound = []
        for stage, call in zip(stages, calls, strict=True):
            given = stage.given(spec.args)
            named = {**call.arguments, **call.constants, **call.options}
            bound.append(BoundCall(call.kernel, call.grid, named | dict.fromkeys(given), tuple(given.items())))
        typed = tuple((name, size, TORCH[spec.tensors[name].dtypes[0]]) for name, size in workspaces)
        self._bound.keep(layout, Bound(tuple(bound), typed))
