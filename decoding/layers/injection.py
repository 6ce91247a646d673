"""LoRA in a stock model's linear layers: which can be adapted, and the forward hooks that add each row's adapter."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from cold_kernels.layers.group import Group, Matrices
from cold_kernels.layers.siblings import siblings

from ..adapters.adapter import LoRA
from .acting import KEPT, Pass, Place
from .eager import eager
from .hooks import Here, Hooked

HELD_AS = (torch.float16, torch.bfloat16, torch.float32)
"""Types that adapters can be held in."""
COMPILED = "_orig_mod"
"""What ``torch.compile`` puts between the names of a module and of its parts."""


class LinearLayers(dict[str, tuple[int, int]]):
    """Input and output size of each layer that can be adapted, by name.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules, self._activations = _by_name(model), _activations(model)
        self._others = dict(model.named_modules(remove_duplicate=False))
        super().__init__((name, _sizes(module)) for name, module in self.modules.items() if self.held_as(module))

    def held_as(self, module: nn.Module) -> torch.dtype | None:
        """The type of a layer's A and B: its weight's, or if that is quantised its input's; None: not adapted."""
        if not isinstance(module, nn.Linear | Conv1D):
            return None
        weight = getattr(module, "weight", None)
        own = None if weight is None else weight.dtype
        quantised = own is None or own.itemsize == 1 or not (own.is_floating_point or own.is_complex)
        return self._activations if quantised else own if own in HELD_AS else None

    def lack(self, name: str) -> str:
        """What there is where a layer cannot be adapted, to end a sentence with."""
        module = self.modules.get(name)
        if module is None and (other := self._others.get(name)) is not None:
            first = next(first for first, module in self.modules.items() if module is other)
            return f"which is {first} as well; adapters act in one place alone"
        if module is None:
            return "which the model does not have as a linear layer"
        if isinstance(module, nn.Linear | Conv1D):
            return f"a {type(module).__name__} of {module.weight.dtype}; adapters are held in {HELD_AS}"
        return f"a {type(module).__name__}; only torch.nn.Linear, its subclasses and Conv1D can be adapted"


def linear_layers(model: nn.Module) -> LinearLayers:
    """Input and output size of each layer that can be adapted, by name."""
    return LinearLayers(model)


class Injection:
    """Adapters in a model's layers, slot i holding the i-th; they act on the tokens of a pass within `acting`.

    Args:
        calls: The calls that a layer has in a forward pass, each ``rows``, ``tokens`` or ``kept`` as `acting.ROWS` and
            its kin say, by its name; of layers that are not named, one call is expected.

    Raises:
        ValueError: a layer that stands in several places of the model, as one of which alone PEFT adapts it.
    """

    def __init__(
        self,
        model: nn.Module,
        adapters: Iterable[Mapping[str, LoRA]],
        calls: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._here, adapters, linear = Here(), list(adapters), linear_layers(model)
        adapted = {name: linear.modules[name] for name in linear if any(name in adapter for adapter in adapters)}
        places, modules = _places(model, adapted, calls or {}), set(adapted.values())
        self._places = list(places.values())
        self._through = [module for module in model.modules() if not modules.isdisjoint(module.modules())]
        self._hooked = [
            Hooked(
                self._here,
                Group([_matrices(places[name], adapters, linear) for name in names], len(adapters)),
                [places[name] for name in names],
                [linear[name][1] for name in names],
            )
            for names in siblings(adapted, lambda name: _rank(name, adapters), lambda name: _slots(name, adapters))
        ]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held of the adapters."""
        return [tensor for hooked in self._hooked for tensor in hooked.group.tensors]

    @contextlib.contextmanager
    def acting(
        self, slots: torch.Tensor | None, shape: tuple[int, int], logits_to_keep: int | torch.Tensor = 0
    ) -> Iterator[None]:
        """Around a forward pass on this thread, in which adapters act on the tokens.

        Args:
            slots: Each token's slot, row by row, ``[R * T]`` int64, -1 for none; None if no token has an adapter.
            shape: R rows and T tokens of each.
            logits_to_keep: As the model is given it.

        Raises:
            RuntimeError: a layer did not act on each token as often as it should.
        """
        if slots is None:
            yield
            return
        for place in self._places:
            place.check()
        now = Pass(self._places, slots, shape, logits_to_keep)
        with eager(self._through):
            self._here.now = now
            try:
                yield
            except BaseException:
                for hooked in self._hooked:
                    hooked.group.forget()
                raise
            finally:
                self._here.now = None
        now.check()

    def remove(self) -> None:
        """Take the hooks out; nothing else of the model was touched."""
        for hooked in self._hooked:
            for handle in hooked.handles:
                handle.remove()


def _matrices(place: Place, adapters: Sequence[Mapping[str, LoRA]], linear: LinearLayers) -> dict[int, Matrices]:
    """A layer's, by slot, in its type and on its device."""
    like = dict(dtype=linear.held_as(place.module), device=_device(place.module))
    loras = {slot: adapters[slot][place.name] for slot in _slots(place.name, adapters)}
    return {slot: Matrices(lora.a.to(**like), lora.b.to(**like)) for slot, lora in loras.items()}


def _by_name(model: nn.Module) -> dict[str, nn.Module]:
    """The model's modules by the names that they have in a model that is not compiled."""
    return {
        ".".join(part for part in name.split(".") if part != COMPILED): module for name, module in model.named_modules()
    }


def _sizes(module: nn.Module) -> tuple[int, int]:
    return tuple(module.weight.shape) if isinstance(module, Conv1D) else (module.in_features, module.out_features)


def _activations(model: nn.Module) -> torch.dtype | None:
    """What the model computes in, which its quantised layers do not say: the type of its embeddings."""
    first = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    return next((tensor.dtype for tensor in (*first, *model.parameters()) if tensor.dtype in HELD_AS), None)


def _device(module: nn.Module) -> torch.device:
    return next(tensor.device for tensors in (module.parameters(), module.buffers()) for tensor in tensors)


def _places(model: nn.Module, adapted: Mapping[str, nn.Module], calls: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    stands: dict[nn.Module, list[tuple[str, nn.Module, str]]] = {module: [] for module in adapted.values()}
    for name, parent in model.named_modules():
        for own, module in parent._modules.items():
            if module in stands:
                stands[module].append((f"{name}.{own}".lstrip("."), parent, own))
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    places = {}
    for name, module in adapted.items():
        (first, parent, own), *others = stands[module]
        if others:
            raise ValueError(f"{name} stands in the model as {others[0][0]} too; adapters act in one place alone")
        expected = calls.get(name)
        keeps = module is head or KEPT in (expected or ())
        places[name] = Place(name, len(places), module, parent, own, expected, keeps)
    return places


def _slots(name: str, adapters: Sequence[Mapping[str, LoRA]]) -> tuple[int, ...]:
    """Those of the adapters that adapt a layer."""
    return tuple(slot for slot, adapter in enumerate(adapters) if name in adapter)


def _rank(name: str, adapters: Sequence[Mapping[str, LoRA]]) -> int:
    return max(len(adapters[slot][name].a) for slot in _slots(name, adapters))
