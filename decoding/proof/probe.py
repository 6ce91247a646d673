"""The passes by which a model is proven: two short texts, in every way that they are decoded in."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import (
    DummyLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from ..model.feed import Feed
from ..model.growing_cache import GrowingLayer, GrowingSlidingLayer
from ..model.growth import dropped, extent
from ..model.kinds import text_config
from ..model.model_pass import ModelPass
from ..packed.rows import PackedRows, may_pack
from ..requests.values import members, whole
from .agreement import Agreement, is_exact
from .layouts import Inputs, Layout, Watch, proven_layouts

LENGTH, FED = 7, 5
"""Tokens of a text, and how many of them are fed at first; the others go on from the cache."""
PLAIN = (
    DummyLayer,
    GrowingLayer,
    GrowingSlidingLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
)
"""Layers of a cache in which a token counts for as much wherever it stands."""


class Probe:
    """The passes: two texts whole and without cache, as the stock model is called, then every way that we call it."""

    def __init__(self, model: PreTrainedModel, watch: Watch) -> None:
        self.model, self.kind, self._watch = model, f"model {type(model).__name__}", watch
        self.texts = _texts(model)
        self.whole = [self._bare(text) for text in self.texts]
        self.agreement = Agreement(torch.cat(self.whole), is_exact(model))
        if not all(logits.isfinite().any(-1).all() for logits in self.whole):
            raise ValueError(f"{self.kind} gives logits that are not finite to tokens {self.texts.tolist()}")

    def check_causal(self) -> None:
        """Raise ValueError where a token's logits depend on the tokens after it."""
        shorter = torch.stack([self._bare(text[:FED])[-1] for text in self.texts])
        if not self.agreement.same(self.agreement.distances(shorter, self._wanted(FED - 1))):
            raise ValueError(
                f"{self.kind} is no causal language model: a token's logits change with the tokens after it, as in an "
                "encoder (BERT and its kin decode with is_decoder=True in their configuration)"
            )

    def check_cache(self, forward: ModelPass, caches: list[Cache]) -> None:
        """Raise ValueError where a text does not go on from its cache, a token at a time."""
        steps = [
            [self._run(lambda: self._fed(forward, cache, [row], place, 1))[0] for place in range(FED, LENGTH)]
            for row, cache in enumerate(caches)
        ]
        distances = [self.agreement.distances(torch.stack(row), whole[FED:]) for row, whole in zip(steps, self.whole)]
        if not any(length or age for length, age in extent(caches[0])) or not self.agreement.same(
            torch.minimum(*distances)
        ):
            raise ValueError(
                f"{self.kind} does not go on from its cache: with {FED} tokens in it, the next ones' logits are not "
                f"those of the whole text; {dropped(self.model)}"
            )
        self._watch.taken()

    def _fed(self, forward: ModelPass, cache: Cache, rows: list[int], place: int, count: int) -> torch.Tensor:
        """Logits of the last of ``count`` tokens, from ``place`` on, of these texts: ``[rows, V]``."""
        positions = torch.arange(place, place + count, device=self.texts.device).expand(len(rows), -1)
        return forward(self.texts[rows, place : place + count], cache, positions=positions)[:, -1]

    def _wanted(self, place: int) -> torch.Tensor:
        """Logits of both whole texts at one of their tokens."""
        return torch.stack([logits[place] for logits in self.whole])

    def alone(self) -> tuple[ModelPass, list[Inputs], list[Cache]]:
        """How to call the model, and the layers' inputs and the caches of the first tokens of each text alone."""
        stock = ModelPass(self.model)
        if stock.cache_argument is None:
            raise ValueError(f"{self.kind} takes no past_key_values: it keeps its state in a way that is not supported")
        for positions in (True, False) if stock.takes_positions else (False,):
            forward = ModelPass(self.model, positions)
            caches = [self._run(forward.new_cache) for _ in self.texts]
            rows, inputs = [], []
            for row, cache in enumerate(caches):
                self._watch.taken()
                rows.append(self._run(lambda: self._fed(forward, cache, [row], 0, FED)))
                inputs.append(self._watch.taken())
            distances = self.agreement.distances(torch.cat(rows), self._wanted(FED - 1))
            if self.agreement.close(distances) or (not positions and self.agreement.same(distances)):
                return forward, inputs, caches
        raise ValueError(f"{self.kind} gives other logits with an empty cache than without one")

    def together(self, forward: ModelPass, inputs: list[Inputs]) -> tuple[dict[str, tuple[Layout, ...]], dict]:
        """Two rows at once, a step of both, and a step of the second when the first has left."""
        cache = forward.new_cache()
        both = self._run(lambda: self._fed(forward, cache, [0, 1], 0, FED))
        calls, refused = proven_layouts(self._watch.taken(), inputs, FED)
        if not self.agreement.same(self.agreement.distances(both, self._wanted(FED - 1))):
            raise ValueError(f"{self.kind} gives a row other logits beside another row than alone: its rows are mixed")
        step = self._run(lambda: self._fed(forward, cache, [0, 1], FED, 1))
        for name, seen in self._watch.taken().items():
            if name in calls and len(seen) != len(calls[name]):
                del calls[name]
                refused[name] = "is called more often in some passes than in others"
            elif name in calls and any(x is None or x.numel() != 2 * x.shape[-1] for x in seen):
                del calls[name]
                refused[name] = "is given other tokens than a pass's own, such as all that are in the cache"
        self._run(lambda: cache.keep([1]))
        left = self._run(lambda: self._fed(forward, cache, [1], FED + 1, 1))
        found, wanted = torch.cat([step, left]), torch.cat([self._wanted(FED), self.whole[1][-1:]])
        if not self.agreement.same(self.agreement.distances(found, wanted)):
            raise ValueError(f"{self.kind} does not go on from its cache when several rows share it, or one has left")
        return calls, refused

    def packs(self, forward: ModelPass) -> bool:
        """Whether packed passes give what passes of each text alone do: of both texts, and of a token and several."""
        if not may_pack(forward):
            return False

        def passes() -> torch.Tensor:
            rows, texts = PackedRows(forward), self.texts.tolist()
            one, other = rows.open(-1), rows.open(-1)
            first = rows.forward([Feed(one, texts[0][: FED - 2]), Feed(other, texts[1][:FED])], _nothing)
            return torch.cat(
                [first, rows.forward([Feed(one, texts[0][FED - 2 :]), Feed(other, texts[1][FED:-1])], _nothing)]
            )

        found = self._try(passes)
        wanted = torch.stack([self.whole[0][FED - 3], self.whole[1][FED - 1], self.whole[0][-1], self.whole[1][-2]])
        return found is not None and self.agreement.close(self.agreement.distances(found, wanted))

    def pads(self, forward: ModelPass, cache: Cache) -> bool:
        """Whether a short row that is padded on the left has the logits that it has alone, also a step later.

        A token that is wrong with one text and right with the other was near a tie. Caches that keep blocks of tokens
        or an index of them choose among more tokens than these texts have, and padding takes part in the choice.
        """
        if not forward.takes_mask or not all(type(layer) in PLAIN for layer in cache.layers):
            return False
        found = [self._try(lambda: self._padded(forward, row)) for row in range(len(self.texts))]
        return all(each is not None for each in found) and self.agreement.close(torch.minimum(*found))

    def _padded(self, forward: ModelPass, short: int) -> torch.Tensor:
        """How far two rows' logits lie from those of the texts alone, if one is shorter; then a step of both."""
        missing, texts = LENGTH - FED, self.texts[[short, 1 - short]]
        ids, mask, length = texts[:, :FED].clone(), torch.ones_like(texts[:, :FED]), FED - missing
        ids[0], mask[0, :missing] = torch.cat([ids.new_zeros(missing), texts[0, :length]]), 0
        following = torch.stack([texts[0, length], texts[1, FED]])[:, None]
        longer = torch.cat([mask, torch.ones_like(following)], 1)
        positions = [(each.cumsum(1) - 1).clamp(0) for each in (mask, longer)]
        cache = forward.new_cache()
        prompt = forward(ids, cache, mask, positions[0], kept=0)
        step = forward(following, cache, longer, positions[1][:, -1:])
        found = torch.cat([prompt[0, missing:], step[0], prompt[1, -1:], step[1]])
        wanted = torch.cat([self.whole[short][: length + 1], self.whole[1 - short][FED - 1 : FED + 1]])
        return self.agreement.distances(found, wanted)

    def _bare(self, text: torch.Tensor) -> torch.Tensor:
        """Logits ``[T, V]`` of a text as the stock model gives them, by nothing but its ids."""
        output = self._run(lambda: self.model(input_ids=text[None]))
        logits = getattr(output, "logits", None)
        vocabulary = text_config(self.model).vocab_size
        if logits is None:
            raise ValueError(
                f"{self.kind} has no language-modelling head: it gives no logits; use AutoModelForCausalLM"
            )
        if logits.dim() != 3 or logits.shape[1] != len(text) or logits.shape[2] < vocabulary:
            wanted = f"[1, {len(text)}, {vocabulary}]"
            raise ValueError(
                f"{self.kind} gives logits {list(logits.shape)}, not {wanted}: its head is of another kind"
            )
        return logits[0]

    def _run(self, passes: Callable[[], Any]) -> Any:
        try:
            return passes()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            said = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"{self.kind} cannot be run on token ids with a cache: {type(error).__name__}: {said}"
            ) from error

    def _try(self, passes: Callable[[], Any]) -> Any:
        """None where the model cannot do it at all."""
        try:
            return self._run(passes)
        except ValueError:
            return None


def _nothing(*_: object) -> AbstractContextManager[None]:
    return nullcontext()


def _texts(model: PreTrainedModel) -> torch.Tensor:
    """Two texts ``[2, LENGTH]`` of tokens that differ, none of which has a meaning of its own to the model."""
    configs = (model.config, text_config(model), getattr(model, "generation_config", None))
    named = [pair for config in configs if config is not None for pair in vars(config).items()]
    special = {whole(token) for name, value in named if name.endswith("token_id") for token in members(value)}
    ids = [token for token in range(text_config(model).vocab_size) if token not in special] or [0]
    drawn = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0)).tolist()
    return torch.tensor([ids[drawn[i % len(ids)]] for i in range(2 * LENGTH)], device=model.device).view(2, LENGTH)
