"""A reference for a kernel that has none: what its default configuration computes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .ascend.chips import DEFAULT_CHIP
from .ascend.machine import ascend_machine
from .bounded import Bounded
from .cases import poisoned
from .dtypes import TORCH

if TYPE_CHECKING:
    from .spec import KernelSpec

KEPT = 4
EPSILONS = 16
"""How many units in the last place of an output, of its own size and of its typical size, `close_to_default` allows."""


class AsDefault:
    """``reference=as_default(lambda: SPEC)``: compiled in the default configuration, and run in the simulator.

    It finds out whether configurations agree with the default, and never whether the default is right: write a float64
    reference to know that. Calls with the same numbers are answered from memory.
    """

    against = "the default configuration (no reference was given)"

    def __init__(self, spec: Callable[[], "KernelSpec"]) -> None:
        self._spec = spec
        self._kept = Bounded(KEPT)

    def __call__(self, **args: Any) -> dict[str, torch.Tensor]:
        """The outputs, in float64.

        Raises:
            AscendError: the default configuration does not compile, or does what the simulator refuses.
        """
        spec = self._spec()
        given = {name: args.get(f"{name}_before", args[name]) for name in spec.args}
        inputs = {name: value for name, value in given.items() if name not in spec.outputs or f"{name}_before" in args}
        key = tuple((name, _number(value)) for name, value in inputs.items())
        if (known := self._kept.get(key)) is None:
            known = self._computed(spec, given)
            self._kept.keep(key, known)
        return {name: value.double() for name, value in known.items()}

    def _computed(self, spec: "KernelSpec", given: dict[str, Any]) -> dict[str, torch.Tensor]:
        args = dict(given)
        for name in spec.outputs:
            size, dtype = list(given[name].shape), given[name].dtype
            args[name] = poisoned(size, dtype) if spec.tensors[name].role == "output" else given[name].clone()
        shape, machine = spec.shape_of(args), ascend_machine(DEFAULT_CHIP)
        config = spec.default_for(shape)
        for name, arg in spec.tensors.items():
            if arg.role == "workspace":
                args[name] = poisoned(list(spec.workspace_size(name, config, shape)), TORCH[arg.dtypes[0]])
        for call in spec.calls(args, config, "ascend", machine.chip.vector_cores, shape):
            if 0 not in call.grid:
                machine.run(call, True)
        return {name: args[name] for name in spec.outputs}


def as_default(spec: Callable[[], "KernelSpec"]) -> AsDefault:
    """A reference that is what the default configuration of ``spec()`` computes; reports and tables say so."""
    return AsDefault(spec)


def close_to_default(spec: Callable[[], "KernelSpec"]) -> Callable[..., dict[str, torch.Tensor]]:
    """A tolerance beside `as_default`: `EPSILONS` units in the last place of an element and of the root mean square.

    Sums in another order pass where an output's type is as wide as what is summed in; integers must be equal.
    """

    def tolerance(**args: Any) -> dict[str, torch.Tensor]:
        allowed = {}
        for name, value in spec().reference(**args).items():
            dtype = args[name].dtype
            if not dtype.is_floating_point:
                allowed[name] = torch.zeros_like(value)
                continue
            finite = value[value.isfinite()]
            typical = finite.square().mean().sqrt() if finite.numel() else 0.0
            allowed[name] = EPSILONS * torch.finfo(dtype).eps * (value.abs() + typical)
        return allowed

    return tolerance


def _number(value: Any) -> Any:
    """What stands for an argument's value: bytes of a tensor, with its size and type."""
    if not isinstance(value, torch.Tensor):
        return value
    flat = value.detach().contiguous().view(-1)
    raw = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return value.dtype, tuple(value.shape), hash(raw)
