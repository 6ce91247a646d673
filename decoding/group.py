"""Adapted layers that are given the same tensor: the products of LoRA, added to what each layer returns."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cold_kernels import bgmv_expand, bgmv_shrink
from cold_kernels.bgmv import cpu
from cold_kernels.devices import in_torch

from .acting import Pass, Place, Tokens


class Here(threading.local):
    """The forward pass that this thread runs; None: hooks do nothing."""

    now: Pass | None = None


@dataclass(eq=False)
class Layer:
    """One adapted layer: its place in the model, that among its group's ranks, and B ``[slots, out, rank]``."""

    place: Place
    ranks: slice
    b: torch.Tensor


class Group:
    """One shrink by all the layers' A ``[slots, ranks, in]``, an expand into the output of each."""

    def __init__(self, here: Here, layers: list[Layer], a: torch.Tensor) -> None:
        self.layers, self.a = layers, a
        self._shrunk: _Shrunk | None = None
        self.handles = [
            layer.place.module.register_forward_hook(_hook(here, self._add, layer), with_kwargs=True)
            for layer in layers
        ]

    def _add(self, now: Pass, layer: Layer, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        shape = x.shape[:-1]
        tokens = now.given(layer.place, shape)
        outputs = layer.b.shape[1]
        if not isinstance(output, torch.Tensor) or output.shape != (*shape, outputs):
            found = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise RuntimeError(
                f"{layer.place.name} returns {found}, not a tensor {[*shape, outputs]}; adapt other layers"
            )
        shrunk = self._shrunk
        if shrunk is None or not shrunk.serves(now, x):
            self._shrunk = shrunk = _Shrunk(now, x, self.a, tokens, layer.place.name)
        output = output.contiguous()  # as a linear layer returns it
        shrunk.expand_into(output.view(-1, outputs), layer)
        if shrunk.used == len(self.layers):
            self._shrunk = None
        return output


def _hook(here: Here, add: Callable, layer: Layer) -> Callable:
    """A function, so that a copy of the module shares the adapters, and makes no copy of them."""

    def hook(_: nn.Module, args: tuple, named: dict[str, Any], output: Any) -> torch.Tensor | None:
        if here.now is None:
            return None
        return add(here.now, layer, args[0] if args else next(iter(named.values())), output)

    return hook


class _Shrunk:
    """An input's products with its tokens' A, for the layers of a group that are given it one after the other."""

    def __init__(self, now: Pass, x: torch.Tensor, a: torch.Tensor, tokens: Tokens, name: str) -> None:
        if x.dtype != a.dtype and torch.promote_types(x.dtype, a.dtype) != a.dtype or x.device != a.device:
            raise RuntimeError(
                f"{name} is given {x.dtype} on {x.device}, and its adapters are {a.dtype} on {a.device}; "
                "make a new ContrastiveLoRA of the model as it is now"
            )
        self._of, self._version, self.used = (now, x), _version(x), 0
        flat = (x.view(-1, x.shape[-1]) if x.is_contiguous() else x.reshape(-1, x.shape[-1])).to(a.dtype)
        self._tokens, self._in_torch = tokens, in_torch(x)
        if self._in_torch:
            self._low = cpu.shrunk(flat, a, tokens.listed)
        else:
            self._low = torch.empty(len(flat), a.shape[1], dtype=torch.float32, device=x.device)
            bgmv_shrink(flat, a, self._low, tokens.slots)

    def serves(self, now: Pass, x: torch.Tensor) -> bool:
        """Whether they are this pass's and this tensor's, as it is now."""
        return self._of[1] is x and self._of[0] is now and self._version == _version(x)

    def expand_into(self, y: torch.Tensor, layer: Layer) -> None:
        """Add the products with the layer's B to ``y [n, out]``."""
        self.used += 1
        if self._in_torch:
            cpu.expand_shrunk(layer.b, self._low, layer.ranks, y)
        else:
            bgmv_expand(self._low[:, layer.ranks], layer.b, y, self._tokens.slots)


def _version(x: torch.Tensor) -> int | None:
    """Counts the writes to a tensor, which inference tensors do not."""
    return None if x.is_inference() else x._version
