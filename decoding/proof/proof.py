"""What a model is shown to do before anything is attached to it: a few passes over a dozen random tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import Cache, PreTrainedModel

from ..layers.injection import linear_layers
from ..model.growth import Extent, check_grown, extent
from ..model.kinds import refuse_dropout, refuse_kind
from ..model.model_pass import ModelPass
from .layouts import Layout, Watch
from .probe import FED, Probe


@dataclass(frozen=True)
class Proof:
    """What holds for a model, shown on it.

    Args:
        forward: How it is called.
        calls: For each layer that can be adapted, the layout of each of its calls in a pass.
        refused: For each linear layer that cannot be adapted, why not, to follow its name.
        pads: Whether a short row may be padded on the left beside a longer one; else only rows of one length go
            together.
        packs: Whether tokens of many rows may be packed into one.
        attending: Layers of the cache that hold every token, by index.
        recurrent: Layers that hold a state instead, or beside it; no token of it can be taken back.
    """

    forward: ModelPass
    calls: Mapping[str, tuple[Layout, ...]]
    refused: Mapping[str, str]
    pads: bool
    packs: bool
    attending: Sequence[int]
    recurrent: Sequence[int]

    def check_layers(self, adapter: str, layers: Iterable[str]) -> None:
        """Raise ValueError if ``adapter``, by what messages call it, adapts a layer that cannot be adapted."""
        for layer in layers:
            if layer in self.refused:
                raise ValueError(f"{adapter} adapts {layer}, which {self.refused[layer]}; adapt other layers")

    def extent(self, cache: Cache) -> Extent:
        """What `check_grown` compares."""
        return extent(cache)

    def check_grown(self, cache: Cache, before: Extent, fed: int) -> None:
        """Raise RuntimeError if a pass did not add its ``fed`` tokens of each row to the cache, whose `extent` was
        ``before``.
        """
        check_grown(self.forward.model, cache, before, fed, self.attending, self.recurrent)


def prove(model: PreTrainedModel) -> Proof:
    """Run the model a few times, as it is, and see what holds.

    Args:
        model: A causal language model without adapters.

    Raises:
        ValueError: it is of a kind that cannot be decoded with; the model is as it was.
    """
    refuse_kind(model)
    refuse_dropout(model)
    layers = linear_layers(model)
    with torch.no_grad(), Watch(model, layers) as watch, torch.compiler.set_stance("force_eager"):
        probe = Probe(model, watch)
        probe.check_causal()
        forward, inputs, caches = probe.alone()
        held = extent(caches[0])
        attending = tuple(layer for layer, (length, _) in enumerate(held) if length == FED)
        recurrent = tuple(layer for layer, (_, age) in enumerate(held) if age)
        probe.check_cache(forward, caches)
        calls, refused = probe.together(forward, inputs)
        pads, packs = probe.pads(forward, caches[0]), probe.packs(forward)
    return Proof(forward, calls, refused, pads, packs, attending, recurrent)
