"""The rows of requests that are decoded together: expert rows first, then the amateurs', with their attention cache."""

from collections.abc import Mapping, Sequence

import torch

from .layers import Rows
from .proof import Proof
from .request import Request


class Batch:
    """Requests that are left, and the state of their rows.

    Args:
        proof: Of the model, with adapters injected.
        requests: Each with its place among all; each gets an expert row and, if it contrasts, an amateur row, which is
            always given the same tokens.
        slots: The adapters' slots, by name.
    """

    def __init__(self, proof: Proof, requests: Sequence[tuple[int, Request]], slots: Mapping[str, int]) -> None:
        self._proof, self.left, self._slot_of = proof, list(requests), slots
        self.texts = {place: request.ids() for place, request in requests}
        self._lay_out()
        prompts = [self.texts[self.left[i][0]] for i in self._request]
        longest = max(map(len, prompts), default=0)
        self._padded = any(len(ids) < longest for ids in prompts)
        self._inputs = self._tensor([[0] * (longest - len(ids)) + ids for ids in prompts])
        self._mask = self._tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        self._cache = proof.forward.new_cache()

    def forward(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """One pass: logits of experts and amateurs, ``[requests left, V]``; an expert's where it has no amateur.

        Args:
            rows: What tells the injected layers each row's adapter.
        """
        positions = (self._mask.cumsum(1) - 1).clamp(0)[:, -self._inputs.shape[1] :]
        held = self._proof.extent(self._cache)
        mask = self._mask if self._padded else None
        with torch.no_grad(), rows.running(self._slots):
            logits = self._proof.forward(self._inputs, self._cache, mask, positions)[:, -1]
        self._proof.check_grown(self._cache, held, self._inputs.shape[1])
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
            self._cache.reorder_cache(rows)  # which selects, in caches of any kind
            self._lay_out()
        self._inputs = self._tensor(following)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(kept), 1)], 1)

    def _tensor(self, values: list) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._proof.forward.model.device)

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
