"""What a pass adds to a cache: tokens to layers that hold them, and changes to states."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

Extent = list[tuple[int, tuple]]
"""Of each layer of a cache: the tokens that it holds, and what tells its states from what they become in a pass."""


def extent(cache: Cache) -> Extent:
    """What `check_grown` compares."""
    return [(_length(layer), _age(layer)) for layer in cache.layers]


def check_grown(
    model: nn.Module, cache: Cache, before: Extent, fed: int, attending: Sequence[int], recurrent: Sequence[int]
) -> None:
    """Raise RuntimeError if a pass of ``model`` did not add its tokens to the cache.

    Args:
        before: The cache's `extent` before the pass.
        fed: Tokens of each row in the pass.
        attending, recurrent: Layers that hold tokens, and those that hold a state, by index.
    """
    after = extent(cache)
    missing = [(0, ())] * max(0, max([*attending, *recurrent], default=-1) + 1 - len(after))
    before, after = [*before, *[(0, ())] * (len(after) + len(missing) - len(before))], after + missing
    for layer in attending:
        held, holds = before[layer][0], after[layer][0]
        if holds - held != fed:
            found = f"layer {layer} of the cache held {held} tokens, was fed {fed} and holds {holds}"
            raise RuntimeError(f"{found}; {dropped(model)}")
    for layer in recurrent:
        if after[layer][1] == before[layer][1]:
            raise RuntimeError(f"layer {layer} of the cache kept its state; {dropped(model)}")


def dropped(model: nn.Module) -> str:
    """Why a cache may be left unused."""
    if any(module.training and getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        return "gradient checkpointing in training mode drops the cache: call model.eval()"
    return "the model does not use the cache that it is given"


def _length(layer: Any) -> int:
    return int(layer.get_seq_length()) if isinstance(layer, CacheLayerMixin) else 0


def _age(layer: Any) -> tuple:
    """States are written in place or anew; tensors of inference mode do not tell, and count as written."""
    states = [*getattr(layer, "conv_states", {}).values(), *getattr(layer, "recurrent_states", {}).values()]
    return tuple(
        (id(state), object() if state.is_inference() else state._version) for state in states if state is not None
    )
