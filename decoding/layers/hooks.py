"""The forward hooks that add each row's adapter to what a layer returns."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cold_kernels.layers.group import Group

from .acting import Pass, Place


class Here(threading.local):
    """The forward pass that this thread runs; None: hooks do nothing."""

    now: Pass | None = None


@dataclass(eq=False)
class Hooked:
    """A group of layers with hooks on them.

    Args:
        here: What the hooks look at.
        places: The layers, in the group's order.
        outputs: What each layer returns of a token.
    """

    here: Here
    group: Group
    places: list[Place]
    outputs: list[int]

    def __post_init__(self) -> None:
        self.handles = [
            place.module.register_forward_hook(_hook(self.here, self._add, own), with_kwargs=True)
            for own, place in enumerate(self.places)
        ]

    def _add(self, now: Pass, own: int, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        place, shape, group = self.places[own], x.shape[:-1], self.group
        tokens = now.given(place, shape)
        if x.device != group.device or (
            x.dtype != group.dtype and torch.promote_types(x.dtype, group.dtype) != group.dtype
        ):
            raise RuntimeError(
                f"{place.name} is given {x.dtype} on {x.device}, and its adapters are {group.dtype} on "
                f"{group.device}; make a new ContrastiveLoRA of the model as it is now"
            )
        now.count(place, tokens)
        wanted = (*shape, self.outputs[own])
        if not isinstance(output, torch.Tensor) or output.shape != wanted:
            found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise RuntimeError(f"{place.name} returns {found} and no tensor {list(wanted)}; it cannot be adapted")
        return group.add(own, x, output.contiguous(), tokens)  # as a linear layer returns it


def _hook(here: Here, add: Callable, own: int) -> Callable:
    """A function, so that a copy of the module shares the adapters, and makes no copy of them."""

    def hook(_: nn.Module, args: tuple, named: dict[str, Any], output: Any) -> torch.Tensor | None:
        now = here.now
        return None if now is None else add(now, own, args[0] if args else next(iter(named.values())), output)

    return hook
