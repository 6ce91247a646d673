"""What a model is shown to do before anything is attached to it: a few passes over a dozen random tokens."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from .agreement import EXACT, ROUNDED, STATED, Agreement, is_exact
from .kinds import refuse_dropout, refuse_kind, text_config
from .layouts import MISPLACED, Layout, Watch, proven_layouts
from .model_pass import ModelPass

LENGTH, FED = 7, 5
"""Tokens of a text, and how many of them are fed at first; the others go on from the cache."""


@dataclass(frozen=True)
class Proof:
    """What holds for a model, shown on it.

    Args:
        forward: How it is called.
        calls: For each layer that can be adapted, the layout of each of its calls in a pass.
        refused: For each linear layer that cannot be adapted, why not, to follow its name.
        pads: Whether a short row may be padded on the left beside a longer one; else only rows of one length go
            together.
        chunks: Whether several tokens at once may go on from the cache.
        attending: Layers of the cache that hold every token, by index.
        recurrent: Layers that hold a state instead, or beside it; no token of it can be taken back.
    """

    forward: ModelPass
    calls: Mapping[str, tuple[Layout, ...]]
    refused: Mapping[str, str]
    pads: bool
    chunks: bool
    attending: frozenset[int]
    recurrent: frozenset[int]

    def check_layers(self, adapter: str, layers: Iterable[str]) -> None:
        """Raise ValueError if ``adapter``, by what messages call it, adapts a layer that cannot be adapted."""
        for layer in layers:
            if layer in self.refused:
                raise ValueError(f"{adapter} adapts {layer}, which {self.refused[layer]}; adapt other layers")

    def extent(self, cache: Cache) -> list[tuple[int, Any]]:
        """What `check_grown` compares: of each layer of the cache, the tokens that it holds and its states' age."""
        return [(_length(layer), _age(layer)) for layer in cache.layers]

    def check_grown(self, cache: Cache, before: Sequence[tuple[int, Any]], fed: int) -> None:
        """Raise RuntimeError if a pass did not add its tokens to the cache.

        Args:
            before: The cache's `extent` before the pass.
            fed: Tokens of each row in the pass.
        """
        after = self.extent(cache)
        before = [*before, *[(0, None)] * (len(after) - len(before))]
        for layer in sorted(self.attending | self.recurrent):
            length, age = after[layer] if layer < len(after) else (0, None)
            held = f"layer {layer} of the cache held {before[layer][0] if layer < len(before) else 0} tokens"
            if layer in self.attending and length - before[layer][0] != fed:
                raise RuntimeError(f"{held}, was fed {fed} and holds {length}; {_dropped(self.forward.model)}")
            if layer in self.recurrent and age == before[layer][1]:
                raise RuntimeError(f"layer {layer} of the cache kept its state; {_dropped(self.forward.model)}")


def prove(model: PreTrainedModel, layers: Iterable[str]) -> Proof:
    """Run the model a few times, as it is, and see what holds.

    Args:
        model: A causal language model without adapters.
        layers: Names of its linear layers.

    Raises:
        ValueError: it is of a kind that cannot be decoded with; the model is as it was.
    """
    refuse_kind(model)
    refuse_dropout(model)
    with torch.no_grad(), Watch(model, layers) as watch, torch.compiler.set_stance("force_eager"):
        return _Probe(model, watch).proof()


class _Probe:
    """The passes: two texts whole and without cache, as the stock model is called, then every way that we call it."""

    def __init__(self, model: PreTrainedModel, watch: Watch) -> None:
        self.model, self.kind, self._watch = model, f"model {type(model).__name__}", watch
        self.texts = _texts(model)
        self.whole = [self._bare(text) for text in self.texts]
        self.agreement = Agreement(torch.cat(self.whole), is_exact(model))
        if not all(logits.isfinite().any(-1).all() for logits in self.whole):
            raise ValueError(f"{self.kind} gives logits that are not finite to tokens {self.texts.tolist()}")

    def proof(self) -> Proof:
        forward, alone, inputs, caches = self._alone()
        extents = [[(_length(layer), _age(layer)) for layer in cache.layers] for cache in caches]
        attending = frozenset(i for i, (length, _) in enumerate(extents[0]) if length == FED)
        recurrent = frozenset(i for i, (_, age) in enumerate(extents[0]) if age)
        second = self.texts[1:]
        steps = [
            self._run(lambda: forward(second[:, place : place + 1], caches[1], positions=self._from(place, 1)))[0, -1]
            for place in range(FED, LENGTH)
        ]
        if not attending | recurrent or not self._agrees(torch.stack(steps), self.whole[1][FED:], STATED):
            raise ValueError(
                f"{self.kind} does not go on from its cache: with {FED} tokens in it, the next ones' logits are not "
                f"those of the whole text; {_dropped(self.model)}"
            )
        chunk = self._try(lambda: forward(self.texts[:1, FED:], caches[0], positions=self._from(FED, LENGTH - FED)))
        self._watch.taken()
        calls, refused = self._together(forward, alone, inputs)
        return Proof(
            forward,
            calls,
            refused,
            pads=self._pads(forward),
            chunks=chunk is not None and self._agrees(chunk[:, -1], self.whole[0][-1:]),
            attending=attending,
            recurrent=recurrent,
        )

    def _alone(self) -> tuple[ModelPass, torch.Tensor, list, list[Cache]]:
        """How to call the model; logits, layers' inputs and caches of the first tokens of each text alone."""
        if ModelPass(self.model).cache_argument is None:
            raise ValueError(f"{self.kind} takes no past_key_values: it keeps its state in a way that is not supported")
        wanted = torch.stack([logits[FED - 1] for logits in self.whole])
        for positions in (True, False) if ModelPass(self.model).takes_positions else (False,):
            forward = ModelPass(self.model, positions)
            caches = [self._run(forward.new_cache) for _ in self.texts]
            rows, inputs = [], []
            for text, cache in zip(self.texts, caches):
                self._watch.taken()
                rows.append(self._run(lambda: forward(text[None, :FED], cache, positions=self._from(0, FED)))[0, -1])
                inputs.append(self._watch.taken())
            if self._agrees(torch.stack(rows), wanted):
                return forward, torch.stack(rows), inputs, caches
        shorter = torch.stack([self._bare(text[:FED])[-1] for text in self.texts])
        if not self._agrees(shorter, wanted):
            raise ValueError(
                f"{self.kind} is no causal language model: a token's logits change with the tokens after it, as in an "
                "encoder (BERT and its kin decode with is_decoder=True in their configuration)"
            )
        raise ValueError(f"{self.kind} gives other logits with an empty cache than without one")

    def _together(self, forward: ModelPass, alone: torch.Tensor, inputs: list) -> tuple[dict, dict]:
        """Two rows at once, a step of both, and a step of the second when the first has left."""
        cache = forward.new_cache()
        both = self._run(lambda: forward(self.texts[:, :FED], cache, positions=self._from(0, FED, 2)))[:, -1]
        calls, refused = proven_layouts(self._watch.taken(), inputs, FED)
        distance = self.agreement.distance(both, alone)
        if not distance <= (EXACT if self.agreement.exact else MISPLACED):
            raise ValueError(f"{self.kind} gives a row other logits beside another row than alone: its rows are mixed")
        self.agreement.noise = distance
        step = self._run(lambda: forward(self.texts[:, FED : FED + 1], cache, positions=self._from(FED, 1, 2)))[:, -1]
        for name, seen in self._watch.taken().items():
            if name in calls and len(seen) != len(calls[name]):
                del calls[name]
                refused[name] = "is called more often in some passes than in others"
        self._run(lambda: cache.reorder_cache(torch.tensor([1], device=self.model.device)))
        left = self._run(lambda: forward(self.texts[1:, FED + 1 :], cache, positions=self._from(FED + 1, 1)))[:, -1]
        wanted = torch.stack([logits[FED] for logits in self.whole])
        if not self._agrees(step, wanted, STATED) or not self._agrees(left, self.whole[1][-1:], STATED):
            raise ValueError(f"{self.kind} does not go on from its cache when several rows share it, or one has left")
        return calls, refused

    def _pads(self, forward: ModelPass) -> bool:
        """Whether a short row that is padded on the left has the logits that it has alone, also a step later."""
        if not forward.takes_mask:
            return False
        missing = 2
        ids, mask = self.texts[:, :FED].clone(), torch.ones_like(self.texts[:, :FED])
        short = FED - missing
        ids[0], mask[0, :missing] = torch.cat([ids.new_zeros(missing), self.texts[0, :short]]), 0
        following = torch.stack([self.texts[0, short], self.texts[1, FED]])[:, None]
        longer = torch.cat([mask, torch.ones_like(following)], 1)
        positions = [(each.cumsum(1) - 1).clamp(0) for each in (mask, longer)]

        def passes() -> torch.Tensor:
            cache = forward.new_cache()
            prompt = forward(ids, cache, mask, positions[0], kept=0)
            step = forward(following, cache, longer, positions[1][:, -1:])
            return torch.cat([prompt[0, missing:], step[0], prompt[1, -1:], step[1]])

        found = self._try(passes)
        short, long = self.whole
        wanted = torch.cat([short[: FED - missing + 1], long[FED - 1 : FED + 1]])
        return found is not None and self._agrees(found, wanted)

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

    def _agrees(self, found: torch.Tensor, wanted: torch.Tensor, rounded: float = ROUNDED) -> bool:
        return found.shape == wanted.shape and self.agreement.agree(found, wanted, rounded)

    def _from(self, first: int, count: int, rows: int = 1) -> torch.Tensor:
        return torch.arange(first, first + count, device=self.texts.device).expand(rows, -1)

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


def _texts(model: PreTrainedModel) -> torch.Tensor:
    """Two texts ``[2, LENGTH]`` of tokens that differ, none of which has a meaning of its own to the model."""
    configs = (model.config, text_config(model), model.generation_config)
    special = {
        value for config in configs for name, value in vars(config or object()).items() if name.endswith("token_id")
    }
    ids = [token for token in range(text_config(model).vocab_size) if token not in special] or [0]
    drawn = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0)).tolist()
    return torch.tensor([ids[drawn[i % len(ids)]] for i in range(2 * LENGTH)], device=model.device).view(2, LENGTH)


def _length(layer: Any) -> int:
    return int(layer.get_seq_length()) if isinstance(layer, CacheLayerMixin) else 0


def _age(layer: Any) -> tuple:
    """Tells a layer's states from what they were before a pass, which writes them in place or anew."""
    states = [*getattr(layer, "conv_states", {}).values(), *getattr(layer, "recurrent_states", {}).values()]
    return tuple((id(state), state._version) for state in states if state is not None)


def _dropped(model: PreTrainedModel) -> str:
    if model.training and getattr(model, "is_gradient_checkpointing", False):
        return "gradient checkpointing in training mode drops the cache: call model.eval()"
    return "the model does not use the cache that it is given"
