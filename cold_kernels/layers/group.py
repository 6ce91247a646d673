"""Adapted layers that are given the same tensor: the products of LoRA, added to what each layer returns."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..devices import in_torch_on_cpu
from ..ops import bgmv_expand, bgmv_shrink
from .tokens import Tokens


class Matrices(NamedTuple):
    """An adapter's in one layer: A ``[rank, in]``, B ``[out, rank]``, and what B times A is multiplied by."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float = 1.0


@dataclass(eq=False, slots=True)
class _Shrunk:
    """An input, and its products with A for the layers that are given it one after the other; written by one thread."""

    x: torch.Tensor
    version: int | None
    tokens: Tokens
    low: list[torch.Tensor | None] | torch.Tensor
    taken: set[int]


def products_in_place(a: torch.Tensor) -> bool:
    """Whether products with such a matrix are made where it is, and with no copy of it in a stack."""
    return a.is_cpu and in_torch_on_cpu()


class Group:
    """One shrink by all the layers' A, an expand into the output of each.

    Args:
        layers: Each layer's matrices by slot, on one device, in fp16, bf16 or fp32; all layers have the same slots,
            A of one slot the same type. On the CPU B is kept where it is, and so is A unless it stands beside another
            layer's; for a kernel both are stacked.
        slots: How many slots there are.
    """

    def __init__(self, layers: Sequence[Mapping[int, Matrices]], slots: int) -> None:
        first = next(iter(layers[0].values())).a
        self._count = len(layers)
        self._weights = _OnCpu(layers) if products_in_place(first) else _Stacked(layers, slots)
        self.dtype, self.device = self._weights.dtype, first.device
        self._shrunk: _Shrunk | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held of matrices."""
        return self._weights.tensors()

    def forget(self) -> None:
        """Let go of the input that was shrunk last."""
        self._shrunk = None

    def add(self, place: int, x: torch.Tensor, output: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        """Add each token's LoRA to what a layer makes of it.

        Args:
            place: The layer's in the group.
            x: ``[…, in]``, on the group's device, of a type that the group's holds.
            output: ``[…, out]``, contiguous; may be written.
            tokens: Those of ``x``.

        Returns:
            ``[…, out]``, contiguous.
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
            self._shrunk = shrunk = _Shrunk(x, version, tokens, self._weights.shrink(x, tokens), set())
        shrunk.taken.add(place)
        if len(shrunk.taken) == self._count:
            self._shrunk = None
        return self._weights.expand(place, shrunk.low, output.view(-1, output.shape[-1]), tokens).view(output.shape)


class _OnCpu:
    """Matrices for products of the tokens of each slot, in float32.

    They are products of as many rows as there are: a row's last bits may follow from the other rows, as those of
    the layer's own product do.
    """

    def __init__(self, layers: Sequence[Mapping[int, Matrices]]) -> None:
        self.slots = frozenset(layers[0])
        self.a: dict[int, torch.Tensor] = {}
        self.b = [{slot: matrices.b.T for slot, matrices in layer.items()} for layer in layers]
        self.scale = [{slot: matrices.scale for slot, matrices in layer.items()} for layer in layers]
        self.ranks: list[dict[int, slice]] = [{} for _ in layers]
        for slot in layers[0]:
            all_a, end = [layer[slot].a for layer in layers], 0
            for ranks, a in zip(self.ranks, all_a, strict=True):
                ranks[slot] = slice(end, end := end + len(a))
            self.a[slot] = (all_a[0] if len(layers) == 1 else torch.cat(all_a)).T
        self.dtype = _widest(a.dtype for a in self.a.values())

    def tensors(self) -> list[torch.Tensor]:
        return [*self.a.values(), *(b for layer in self.b for b in layer.values())]

    def shrink(self, x: torch.Tensor, tokens: Tokens) -> list[torch.Tensor | None]:
        runs = tokens.runs(self.slots)
        return [
            None if slot < 0 else torch.mm(_float(part), _float(self.a[slot]))
            for slot, part in zip(runs.slots, runs.inputs(x), strict=True)
        ]

    def expand(self, place: int, low: list[torch.Tensor | None], y: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        runs, several = tokens.runs(self.slots), len(self.b) > 1
        b, scale, ranks = self.b[place], self.scale[place], self.ranks[place]
        if runs.order is not None:
            y = y.index_select(0, runs.order)
        for slot, product, part in zip(runs.slots, low, runs.split(y), strict=True):
            if product is None:
                continue
            if several:
                product = product[:, ranks[slot]]
            if part.dtype == torch.float32:
                part.addmm_(product, _float(b[slot]), alpha=scale[slot])
            else:
                part.add_(torch.mm(product, _float(b[slot])), alpha=scale[slot])
        return y if runs.order is None else y.index_select(0, runs.back)


class _Stacked:
    """Matrices as kernels take them: A ``[slots, ranks, in]``, B ``[slots, out, rank]`` with the scale in it; zeros
    where a slot has no adapter or a lower rank."""

    def __init__(self, layers: Sequence[Mapping[int, Matrices]], slots: int) -> None:
        self.b: list[torch.Tensor] = []
        self.ranks: list[slice] = []
        end, all_a = 0, []
        for layer in layers:
            some, rank = next(iter(layer.values())), max(len(matrices.a) for matrices in layer.values())
            a_type, b_type = (_widest(each[place].dtype for each in layer.values()) for place in (0, 1))
            a = some.a.new_zeros(slots, rank, some.a.shape[1], dtype=a_type)
            b = some.b.new_zeros(slots, some.b.shape[0], rank, dtype=b_type)
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

    def shrink(self, x: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        x = x.reshape(-1, x.shape[-1])
        low = torch.empty(len(x), self.a.shape[1], dtype=torch.float32, device=x.device)
        bgmv_shrink(x.to(self.dtype), self.a, low, tokens.slots)
        return low

    def expand(self, place: int, low: torch.Tensor, y: torch.Tensor, tokens: Tokens) -> torch.Tensor:
        bgmv_expand(low[:, self.ranks[place]], self.b[place], y, tokens.slots)
        return y


def _widest(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The type that holds them all."""
    return functools.reduce(torch.promote_types, dtypes)


def _float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype == torch.float32 else tensor.float()
