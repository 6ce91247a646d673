"""Adapted layers that are given the same tensor: the products of LoRA, added to what each layer returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..bgmv import cpu
from ..devices import in_torch_on_cpu
from ..ops import bgmv_expand, bgmv_shrink
from .tokens import Tokens


class Matrices(NamedTuple):
    """An adapter's in one layer: A ``[rank, in]``, B ``[out, rank]``, and what B times A is multiplied by."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class _Shrunk:
    """An input, and its products with A for the layers that are given it one after the other."""

    x: torch.Tensor
    version: int | None
    tokens: Tokens
    low: list[torch.Tensor] | torch.Tensor
    taken: set[int]


class Group:
    """One shrink by all the layers' A, an expand into the output of each.

    Args:
        layers: Each layer's matrices by slot, on one device, in fp16, bf16 or fp32; all layers have the same slots,
            A of one slot the same type. On the CPU B is kept where it is, and so is A unless it stands beside another
            layer's or its rows must be filled up; for a kernel both are stacked.
        slots: How many slots there are.
    """

    def __init__(self, layers: Sequence[Mapping[int, Matrices]], slots: int) -> None:
        first = next(iter(layers[0].values())).a
        self._count = len(layers)
        self._weights = _ByslotOnCpu(layers) if first.is_cpu and in_torch_on_cpu() else _Stacked(layers, slots)
        self.dtype, self.device = self._weights.dtype, first.device
        self._shrunk: _Shrunk | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held of matrices."""
        return self._weights.tensors()

    def held_a(self, place: int, slot: int) -> torch.Tensor | None:
        """A of the layer at ``place``, as products are made with it; None where it is part of a kernel's stack."""
        return self._weights.held_a(place, slot)

    def forget(self) -> None:
        """Let go of the input that was shrunk last."""
        self._shrunk = None

    def add(self, place: int, x: torch.Tensor, output: torch.Tensor, tokens: Tokens) -> None:
        """Add each token's LoRA to what a layer makes of it.

        Args:
            place: The layer's in the group.
            x: ``[…, in]``, on the group's device, of a type that the group's holds.
            output: ``[…, out]``, contiguous.
            tokens: Those of ``x``.
        """
        shrunk = self._shrunk
        version = None if x.is_inference() else x._version
        if (
            shrunk is None
            or shrunk.x is not x
            or shrunk.tokens is not tokens
            or shrunk.version != version
            or place in shrunk.taken
        ):
            flat = x.view(-1, x.shape[-1]) if x.is_contiguous() else x.reshape(-1, x.shape[-1])
            self._shrunk = shrunk = _Shrunk(x, version, tokens, self._weights.shrink(flat, tokens), set())
        shrunk.taken.add(place)
        self._weights.expand(place, shrunk.low, output.view(-1, output.shape[-1]), tokens)
        if len(shrunk.taken) == self._count:
            self._shrunk = None


class _ByslotOnCpu:
    """Matrices for products of the rows of each slot."""

    def __init__(self, layers: Sequence[Mapping[int, Matrices]]) -> None:
        self.slots = frozenset(layers[0])
        self.a: dict[int, torch.Tensor] = {}
        self.scale: dict[int, float | torch.Tensor] = {}
        self.b = [{slot: matrices.b.T for slot, matrices in layer.items()} for layer in layers]
        self.ranks: list[dict[int, slice]] = [{} for _ in layers]
        self.inner = next(iter(layers[0].values())).a.shape[1]
        for slot in layers[0]:
            all_a, end = [layer[slot].a for layer in layers], 0
            for ranks, a in zip(self.ranks, all_a, strict=True):
                ranks[slot] = slice(end, end := end + len(a))
            a = all_a[0] if len(layers) == 1 else torch.cat(all_a)
            if a.dtype == torch.float32 and (missing := -self.inner % (cpu.ALIGNMENT // a.element_size())):
                a = F.pad(a, (0, missing))
            self.a[slot], self.scale[slot] = a.T, _scale([layer[slot] for layer in layers])
        self.dtype = max((a.dtype for a in self.a.values()), key=lambda dtype: dtype.itemsize)

    def tensors(self) -> list[torch.Tensor]:
        return [*(a[: self.inner].T for a in self.a.values()), *(b.T for layer in self.b for b in layer.values())]

    def held_a(self, place: int, slot: int) -> torch.Tensor:
        return self.a[slot].T[self.ranks[place][slot], : self.inner]

    def shrink(self, x: torch.Tensor, tokens: Tokens) -> list[torch.Tensor]:
        grouped = tokens.grouped(self.slots)
        low = cpu.shrunk(x, self.a, grouped)
        for (slot, _, _), product in zip(grouped.parts, low, strict=True):
            if self.scale[slot] is not None:
                product *= self.scale[slot]
        return low

    def expand(self, place: int, low: list[torch.Tensor], y: torch.Tensor, tokens: Tokens) -> None:
        grouped = tokens.grouped(self.slots)
        if len(self.b) > 1:
            ranks = self.ranks[place]
            low = [product[:, ranks[slot]] for (slot, _, _), product in zip(grouped.parts, low, strict=True)]
        cpu.expand_shrunk(self.b[place], low, y, grouped)


class _Stacked:
    """Matrices as kernels take them: A ``[slots, ranks, in]``, B ``[slots, out, rank]`` with the scale in it; zeros
    where a slot has no adapter or a lower rank."""

    def __init__(self, layers: Sequence[Mapping[int, Matrices]], slots: int) -> None:
        self.b: list[torch.Tensor] = []
        self.ranks: list[slice] = []
        end, all_a = 0, []
        for layer in layers:
            some, rank = next(iter(layer.values())), max(len(matrices.a) for matrices in layer.values())
            a, b = some.a.new_zeros(slots, rank, some.a.shape[1]), some.b.new_zeros(slots, some.b.shape[0], rank)
            for slot, (one_a, one_b, scale) in layer.items():
                a[slot, : len(one_a)] = one_a
                b[slot, :, : len(one_a)] = one_b if scale == 1.0 else one_b.float() * scale
            self.b.append(b)
            self.ranks.append(slice(end, end := end + rank))
            all_a.append(a)
        self.a = all_a[0] if len(layers) == 1 else torch.cat(all_a, 1)
        self.dtype = self.a.dtype

    def tensors(self) -> list[torch.Tensor]:
        return [self.a, *self.b]

    def held_a(self, place: int, slot: int) -> None:
        return None

    def shrink(self, x: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        low = torch.empty(len(x), self.a.shape[1], dtype=torch.float32, device=x.device)
        bgmv_shrink(x.to(self.dtype), self.a, low, tokens.slots)
        return low

    def expand(self, place: int, low: torch.Tensor, y: torch.Tensor, tokens: Tokens) -> None:
        bgmv_expand(low[:, self.ranks[place]], self.b[place], y, tokens.slots)


def _scale(layers: Sequence[Matrices]) -> float | torch.Tensor | None:
    """What the products with the A of all layers are multiplied by: nothing, a number, or one for each."""
    scales = {layer.scale for layer in layers}
    if len(scales) > 1:
        return torch.cat([torch.full((len(layer.a),), layer.scale) for layer in layers])
    (scale,) = scales
    return None if scale == 1.0 else scale
