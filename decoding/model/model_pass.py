"""One forward pass of a causal language model, by the arguments that its ``forward`` takes."""

import inspect

import torch
from transformers import Cache, PreTrainedModel

from .growing_cache import GrowingCache

CACHE_ARGUMENTS = ("past_key_values", "cache_params")


class ModelPass:
    """Calls a model with what its ``forward`` knows by name; what it does not know is left out, not swallowed.

    Args:
        model: A Hugging Face causal language model.
        positions: Whether to give ``position_ids``, which count from 0 in each row. Some models count otherwise,
            RoBERTa from its padding's id on, and must be left to count themselves.
    """

    def __init__(self, model: PreTrainedModel, positions: bool = True) -> None:
        taken = inspect.signature(type(model).forward).parameters
        self.model = model
        self.cache_argument = next((name for name in CACHE_ARGUMENTS if name in taken), None)
        self.takes_positions, self.takes_mask = "position_ids" in taken, "attention_mask" in taken
        self.positions = positions and self.takes_positions
        self._keeps = "logits_to_keep" in taken

    def new_cache(self) -> GrowingCache:
        """An empty cache of this model's layers."""
        return GrowingCache(self.model.config)

    def __call__(
        self,
        ids: torch.Tensor,
        cache: Cache,
        mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
        kept: int | torch.Tensor = 1,
    ) -> torch.Tensor:
        """Logits ``[R, kept, V]`` of the tokens ``[R, T]``, whose keys, values and states are added to the cache.

        Args:
            ids: int64 ``[R, T]``.
            cache: Of the tokens before.
            mask: ``[R, tokens before + T]``, 0 for padding; None without any.
            positions: int64 ``[R, T]``; given to a model that is given positions.
            kept: How many of the last tokens, 0 for all, or which tokens, as an index tensor.
        """
        arguments = {self.cache_argument: cache, "use_cache": True}
        if mask is not None:
            arguments["attention_mask"] = mask
        if self.positions and positions is not None:
            arguments["position_ids"] = positions
        if self._keeps:
            return self.model(input_ids=ids, logits_to_keep=kept, **arguments).logits
        logits = self.model(input_ids=ids, **arguments).logits
        return logits[:, -kept:] if isinstance(kept, int) else logits[:, kept]
