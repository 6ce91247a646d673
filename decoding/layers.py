"""LoRA in a stock model's linear layers: forward hooks that add each row's adapter by the BGMV operators."""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from cold_kernels import bgmv_expand, bgmv_shrink
from cold_kernels.limits import MAX_RANK

from .adapter import LoRA

SHARE_AN_INPUT = ({"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj"})
"""Names of sibling layers that are given the same tensor; a wrong guess costs time, not correctness."""


def linear_layers(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Input and output size of each layer that can be adapted, by name."""
    sizes = {}
    for name, module in model.named_modules():
        if isinstance(module, Conv1D):
            sizes[name] = tuple(module.weight.shape)
        elif isinstance(module, nn.Linear) and module.weight.is_floating_point():
            sizes[name] = (module.in_features, module.out_features)
    return sizes


class Rows(threading.local):
    """Each token's adapter slot, -1 for none, while this thread runs a forward pass; None otherwise: hooks do nothing."""

    slots: torch.Tensor | None = None
    kept: torch.Tensor | None = None

    def of(self, tokens: int) -> torch.Tensor:
        return self.slots if tokens == len(self.slots) else self.slots[self.kept]


@dataclass(eq=False)
class _Layer:
    """One adapted layer: its place among the ranks of its group, and B ``[slots, out, rank]``."""

    module: nn.Module
    ranks: slice
    b: torch.Tensor


class _Group:
    """Layers that are given the same tensor: one shrink by all their A, an expand into the output of each."""

    def __init__(self, rows: Rows, layers: list[_Layer], a: torch.Tensor) -> None:
        self.rows, self.layers, self.a = rows, layers, a
        self._input: torch.Tensor | None = None
        self._left: set[_Layer] = set()
        self.handles = [
            layer.module.register_forward_hook(lambda _, args, output, layer=layer: self._add(layer, args[0], output))
            for layer in layers
        ]

    def _add(self, layer: _Layer, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        if self.rows.slots is None:
            return output
        if self._input is not x or layer not in self._left:
            flat = x.view(-1, x.shape[-1]) if x.is_contiguous() else x.reshape(-1, x.shape[-1])
            self._slots = self.rows.of(len(flat))
            self._shrunk = torch.empty(len(flat), self.a.shape[1], dtype=torch.float32, device=x.device)
            bgmv_shrink(flat.to(self.a.dtype), self.a, self._shrunk, self._slots)
            self._input, self._left = x, set(self.layers)
        self._left.remove(layer)
        output = output.contiguous()  # as a linear layer returns it
        bgmv_expand(self._shrunk[:, layer.ranks], layer.b, output.view(-1, output.shape[-1]), self._slots)
        if not self._left:
            self._input = self._shrunk = None
        return output


class Injection:
    """Adapters in a model's layers, slot i holding the i-th; they act on rows that `Rows` gives a slot to."""

    def __init__(self, model: nn.Module, adapters: Iterable[Mapping[str, LoRA]]) -> None:
        self.rows, adapters = Rows(), list(adapters)
        names = [name for name in linear_layers(model) if any(name in adapter for adapter in adapters)]
        self.groups = [self._group(model, group, adapters) for group in _groups(names, adapters)]

    @contextlib.contextmanager
    def acting(self, slots, shape, kept=None) -> Iterator[None]:
        self.rows.slots, self.rows.kept = slots, kept
        try:
            yield
        finally:
            self.rows.slots = self.rows.kept = None

    def remove(self) -> None:
        """Take the hooks out; nothing else of the model was touched."""
        for group in self.groups:
            for handle in group.handles:
                handle.remove()

    def _group(self, model: nn.Module, names: list[str], adapters: list[Mapping[str, LoRA]]) -> _Group:
        layers, all_a, first = [], [], 0
        for name in names:
            module, rank = model.get_submodule(name), _rank(name, adapters)
            like = dict(dtype=module.weight.dtype, device=module.weight.device)
            inner, outer = linear_layers(module)[""]
            a, b = torch.zeros(len(adapters), rank, inner), torch.zeros(len(adapters), outer, rank)
            for slot, adapter in enumerate(adapters):
                if lora := adapter.get(name):
                    a[slot, : len(lora.a)], b[slot, :, : len(lora.a)] = lora.a, lora.b
            all_a.append(a.to(**like))
            layers.append(_Layer(module, slice(first, first + rank), b.to(**like)))
            first += rank
        return _Group(self.rows, layers, torch.cat(all_a, 1))


def _rank(name: str, adapters: list[Mapping[str, LoRA]]) -> int:
    return max(len(adapter[name].a) for adapter in adapters if name in adapter)


def _groups(names: list[str], adapters: list[Mapping[str, LoRA]]) -> list[list[str]]:
    """Layers by the input that they share, as far as their ranks fit one operator."""
    groups: list[list[str]] = []
    open_groups: dict[object, list[str]] = {}
    for name in names:
        parent, _, own = name.rpartition(".")
        shared = next((i for i, known in enumerate(SHARE_AN_INPUT) if own in known), own)
        group = open_groups.get((parent, shared))
        if group is None or sum(_rank(other, adapters) for other in [*group, name]) > MAX_RANK:
            open_groups[parent, shared] = group = []
            groups.append(group)
        group.append(name)
    return groups
