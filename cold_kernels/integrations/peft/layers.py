"""LoRA layers of PEFT as the operators see them: which share an input, and whether their matrices are as they were."""

import functools
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from peft.tuners.lora.layer import Linear
from torch import nn

from ...layers.group import Group, Matrices, products_in_place
from ...layers.siblings import siblings
from ...layers.tokens import Tokens
from ...ops.checks import FLOATS
from .own_path import reason

BASE = "__base__"
"""What PEFT calls a row without an adapter."""


@dataclass(frozen=True)
class Held:
    """An adapter's matrices in one layer, as they were when their group was made.

    Args:
        modules: The modules that hold A and B.
        matrices: Their memory of then, and the scaling.
        versions: Of A and B, where a kernel's stack has copies of them.
    """

    modules: tuple[nn.Module, nn.Module]
    matrices: Matrices
    versions: tuple[int, int] | None

    def is_current(self, layer: Linear, adapter: str) -> bool:
        """Whether the layer holds the same numbers now, which may have been written in place.

        Products on the CPU read both where PEFT has them. A kernel's stack is of copies, whose originals are told by
        their place and version; a write through ``.data`` raises no version, and is not seen there.
        """
        (own_a, own_b), (held_a, held_b, scale) = self.modules, self.matrices
        own = layer._modules
        if own["lora_A"]._modules[adapter] is not own_a or own["lora_B"]._modules.get(adapter) is not own_b:
            return False
        a, b = own_a._parameters.get("weight"), own_b._parameters.get("weight")
        if a is None or b is None:
            return False  # parametrized since
        if layer.scaling.get(adapter) != scale or not (_same_memory(held_a, a) and _same_memory(held_b, b)):
            return False
        return self.versions is None or self.versions == (a._version, b._version)


@dataclass(frozen=True)
class Plan:
    """A layer's place in a group of now.

    Args:
        loaded: All adapters that the layer has.
        adapters: Those that the operators take, in the order of their slots.
    """

    loaded: tuple[str, ...]
    adapters: tuple[str, ...]
    group: Group | None
    place: int
    held: dict[str, Held]


class Adapted:
    """What a layer of PEFT's keeps of the operators while they are attached. A copy of the layer does not keep it."""

    def __init__(self, family: "Family") -> None:
        self.family, self.plan = family, None

    def __reduce__(self) -> tuple:
        return type(None), ()

    def tokens(self, layer: Linear, x: torch.Tensor, names: Iterable[str]) -> tuple[Plan, Tokens | None] | None:
        """Whose rows the operators add to, if any; None where this call is PEFT's own to make.

        Args:
            x: The layer's input, ``[rows, …, in]``.
            names: An adapter for each row, or `BASE`.
        """
        if type(x) is not torch.Tensor or x.dim() < 2 or x.dtype not in FLOATS or _watched(x.device.type):
            return None
        names, plan, loaded = tuple(names), self.plan, layer._modules["lora_A"]._modules
        if plan is None or plan.loaded != tuple(loaded):
            plan = self.family.regroup(layer)
        used = [adapter for adapter in _distinct(names) if adapter in loaded]  # to others the layer is the base model's
        for adapter in used:
            held = plan.held.get(adapter)
            if (held is None and reason(layer, adapter) is None) or (held and not held.is_current(layer, adapter)):
                plan = self.family.regroup(layer)
                held = plan.held.get(adapter)
                if held and not held.is_current(layer, adapter):
                    return None  # it is being written this moment
            if held is None or not _plain(layer, adapter, held, x):
                return None
        each = x.numel() // (x.shape[-1] * len(x)) if used and x.numel() else 0
        return plan, _tokens(names, each, plan.adapters, x.device) if each else None


class Family:
    """Layers of one parent that may share an input.

    Args:
        layers: By their names; they are held weakly, and hold the family.
    """

    def __init__(self, layers: dict[str, Linear]) -> None:
        self._layers = {name: weakref.ref(layer) for name, layer in layers.items()}

    def regroup(self, asked: Linear) -> Plan:
        """Group the layers by the adapters that they have now, and give the plan of one of them."""
        layers = {name: layer for name, ref in self._layers.items() if (layer := ref()) is not None}
        taken = {name: tuple(a for a in layer.lora_A if not reason(layer, a)) for name, layer in layers.items()}

        def rank(name: str) -> int:
            return max((len(layers[name].lora_A[adapter].weight) for adapter in taken[name]), default=0)

        def kind(name: str) -> tuple:
            weights = [layers[name].lora_A[adapter].weight for adapter in taken[name]]
            if all(map(products_in_place, weights)):
                return (name,)  # to see that a copy of several A is current takes as long as their products do
            return taken[name], layers[name].in_features, tuple((weight.dtype, weight.device) for weight in weights)

        for names in siblings(layers, rank, kind):
            self._plan([layers[name] for name in names], taken[names[0]])
        return asked.__dict__[ADAPTED].plan

    def _plan(self, layers: list[Linear], adapters: tuple[str, ...]) -> None:
        held = [{adapter: _held(layer, adapter) for adapter in adapters} for layer in layers]
        matrices = [{slot: each[adapter].matrices for slot, adapter in enumerate(adapters)} for each in held]
        group = Group(matrices, len(adapters)) if adapters else None
        for place, layer in enumerate(layers):
            layer.__dict__[ADAPTED].plan = Plan(tuple(layer.lora_A), adapters, group, place, held[place])


ADAPTED = "_cold_kernels"
"""The attribute of a layer that has its `Adapted`."""


def _held(layer: Linear, adapter: str) -> Held:
    modules = layer.lora_A[adapter], layer.lora_B[adapter]
    a, b = (module.weight for module in modules)
    versions = None if products_in_place(a) else (a._version, b._version)
    return Held(modules, Matrices(a.detach(), b.detach(), layer.scaling[adapter]), versions)


def _same_memory(held: torch.Tensor, now: torch.Tensor) -> bool:
    """Whether a tensor is where one was whose memory is still held, in the same type and layout."""
    return (
        held.data_ptr() == now.data_ptr()
        and held.dtype == now.dtype
        and held.shape == now.shape
        and held.stride() == now.stride()
    )


def _watched(device: str) -> bool:
    """Whether something looks on that wants torch's own operations: a compiler, a tracer, autocast."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled(device)


def _plain(layer: Linear, adapter: str, held: Held, x: torch.Tensor) -> bool:
    """Whether this call of the layer is nothing but the two products of an adapter, with no gradient to keep."""
    dropout, (own_a, own_b), a = layer._modules["lora_dropout"]._modules[adapter], held.modules, held.matrices.a
    if type(dropout) is not nn.Identity and (type(dropout) is not nn.Dropout or dropout.training):
        return False
    for module in (own_a, own_b, dropout):
        if module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__:
            return False
    if own_b._parameters["bias"] is not None or x.device != a.device:
        return False
    if x.dtype != a.dtype and torch.promote_types(x.dtype, a.dtype) != a.dtype:
        return False
    if not torch.is_grad_enabled():
        return True
    return not any(t.requires_grad for t in (x, own_a.weight, own_b.weight, *layer.base_layer.parameters()))


@functools.lru_cache(maxsize=64)
def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name != BASE))


@functools.lru_cache(maxsize=64)
def _tokens(names: tuple[str, ...], each: int, adapters: tuple[str, ...], device: torch.device) -> Tokens:
    """The tokens of rows that have so many each; made once for all layers, and for all steps of a generation."""
    slots = {adapter: slot for slot, adapter in enumerate(adapters)}
    listed = [slots.get(name, -1) for name in names for _ in range(each)]
    with torch.inference_mode(False):
        return Tokens(torch.tensor(listed, dtype=torch.int64, device=device))
