"""Adapted layers that are given the same tensor: the products of LoRA, added to what each layer returns."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cold_kernels import bgmv_expand, bgmv_shrink
from cold_kernels.bgmv import cpu

from .acting import Pass, Place


class Here(threading.local):
    """The forward pass that this thread runs; None: hooks do nothing."""

    now: Pass | None = None


@dataclass(eq=False)
class Layer:
    """One adapted layer: its place in the model, that among its group's ranks, and B ``[slots, out, rank]``."""

    place: Place
    ranks: slice
    b: torch.Tensor

    def __post_init__(self) -> None:
        self.outputs, self.weights = self.b.shape[1], cpu.Weights(self.b)


class Group:
    """One shrink by all the layers' A ``[slots, ranks, in]``, an expand into the output of each."""

    def __init__(self, here: Here, layers: list[Layer], a: torch.Tensor) -> None:
        self.layers = layers
        self._weights = cpu.Weights(a, fill=True)
        self.a = self._weights.stacked
        self.forget()
        self.handles = [
            layer.place.module.register_forward_hook(_hook(here, self._add, layer), with_kwargs=True)
            for layer in layers
        ]

    def forget(self) -> None:
        """Let go of the input that was shrunk last."""
        self._now = self._x = self._low = None

    def _add(self, now: Pass, layer: Layer, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        if self._x is not x or self._now is not now or (self._versioned and self._version != x._version):
            self._shrink(now, layer, x)
        now.count(layer.place, self._tokens)
        if not isinstance(output, torch.Tensor) or output.shape != (*self._shape, layer.outputs):
            found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            wanted = [*self._shape, layer.outputs]
            raise RuntimeError(f"{layer.place.name} returns {found} and no tensor {wanted}; it cannot be adapted")
        output = output.contiguous()  # as a linear layer returns it
        y = output.view(-1, layer.outputs)
        if now.in_torch:
            cpu.expand_shrunk(layer.weights.transposed, self._low, layer.ranks, y)
        else:
            bgmv_expand(self._low[:, layer.ranks], layer.b, y, self._tokens.slots)
        self._left -= 1
        if not self._left:
            self.forget()
        return output

    def _shrink(self, now: Pass, layer: Layer, x: torch.Tensor) -> None:
        """The input's products with A, for the layers that are given it one after the other."""
        a, shape = self.a, x.shape[:-1]
        tokens = now.given(layer.place, shape)
        if x.device != a.device or (x.dtype != a.dtype and torch.promote_types(x.dtype, a.dtype) != a.dtype):
            raise RuntimeError(
                f"{layer.place.name} is given {x.dtype} on {x.device}, and its adapters are {a.dtype} on {a.device}; "
                "make a new ContrastiveLoRA of the model as it is now"
            )
        flat = (x.view(-1, x.shape[-1]) if x.is_contiguous() else x.reshape(-1, x.shape[-1])).to(a.dtype)
        if now.in_torch:
            self._low = cpu.shrunk(flat, self._weights.transposed, tokens.by_slot)
        else:
            self._low = torch.empty(len(flat), a.shape[1], dtype=torch.float32, device=x.device)
            bgmv_shrink(flat, a, self._low, tokens.slots)
        self._versioned = not x.is_inference()
        self._version = x._version if self._versioned else None
        self._now, self._x, self._shape, self._tokens, self._left = now, x, shape, tokens, len(self.layers)


def _hook(here: Here, add: Callable, layer: Layer) -> Callable:
    """A function, so that a copy of the module shares the adapters, and makes no copy of them."""

    def hook(_: nn.Module, args: tuple, named: dict[str, Any], output: Any) -> torch.Tensor | None:
        now = here.now
        return None if now is None else add(now, layer, args[0] if args else next(iter(named.values())), output)

    return hook
