"""The rows of requests that are decoded together: expert rows first, then the amateurs', with their attention cache."""

from collections.abc import Mapping, Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from .layers import Injection
from .request import Request


class Batch:
    """Requests that are left, and the state of their rows.

    Args:
        model: The model, with adapters injected.
        requests: Each with its place among all; each gets an expert row and, if it contrasts, an amateur row, which is
            always given the same tokens.
        slots: The adapters' slots, by name.
    """

    def __init__(
        self, model: PreTrainedModel, requests: Sequence[tuple[int, Request]], slots: Mapping[str, int]
    ) -> None:
        self.model, self.left, self._slot_of = model, list(requests), slots
        self.texts = {place: request.ids() for place, request in requests}
        self._lay_out()
        prompts = [self.texts[self.left[i][0]] for i in self._request]
        longest = max(map(len, prompts), default=0)
        self._padded = any(len(ids) < longest for ids in prompts)
        self._inputs = self._tensor([[0] * (longest - len(ids)) + ids for ids in prompts])
        self._mask = self._tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        self._cache = DynamicCache(config=model.config)

    def forward(self, injection: Injection) -> tuple[torch.Tensor, torch.Tensor]:
        """One pass: logits of experts and amateurs, ``[requests left, V]``; an expert's where it has no amateur.

        Args:
            injection: The adapters in the model's layers.
        """
        positions = (self._mask.cumsum(1) - 1).clamp(0)[:, -self._inputs.shape[1] :]
        slots = None if self._slots is None else self._slots.repeat_interleave(self._inputs.shape[1])
        with torch.no_grad(), injection.acting(slots, self._inputs.shape, logits_to_keep=1):
            logits = self.model(
                input_ids=self._inputs,
                attention_mask=self._mask if self._padded else None,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        expert = logits[: len(self.left)]
        return expert, expert if self._amateur is None else logits[self._amateur]

    def append(self, tokens: Sequence[int], goes_on: Sequence[bool]) -> None:
        """Go on with a token for each request, in both of its rows; those that do not go on leave the batch."""
        for (place, _), token in zip(self.left, tokens, strict=True):
            self.texts[place].append(token)
        kept = [row for row, i in enumerate(self._request) if goes_on[i]]
        following = [tokens[self._request[row]] for row in kept]
        if len(kept) < len(self._request):
            self.left = [pair for pair, stays in zip(self.left, goes_on, strict=True) if stays]
            if not kept:
                return
            rows = self._tensor(kept)
            self._mask = self._mask[rows]
            self._cache.batch_select_indices(rows)
            self._lay_out()
        self._inputs = self._tensor(following)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(kept), 1)], 1)

    def _tensor(self, values: list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.model.device)

    def _lay_out(self) -> None:
        """Which request each row belongs to, each row's slot, and each request's amateur row."""
        count = len(self.left)
        contrasting = [i for i, (_, request) in enumerate(self.left) if request.contrasts]
        self._request = [*range(count), *contrasting]
        experts = [self._slot_of.get(request.adapter, -1) for _, request in self.left]
        adapted = any(slot >= 0 for slot in experts)
        self._slots = self._tensor(experts + [-1] * len(contrasting)) if adapted else None
        amateur = list(range(count))
        for row, i in enumerate(contrasting):
            amateur[i] = count + row
        contiguous = amateur == list(range(count, 2 * count))
        self._amateur = None
        if contrasting:
            self._amateur = slice(count, None) if contiguous else self._tensor(amateur)
