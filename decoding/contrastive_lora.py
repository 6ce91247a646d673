"""Contrastive LoRA decoding of a stock model: experts are adapters, the amateur is the same model without them."""

import contextlib
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .adapters.adapter import LoRA, read_adapter
from .adapters.peft_base import PeftBase, holds_peft
from .adapters.sources import Source
from .layers.injection import Injection, linear_layers
from .loop.decode import Token, decode
from .model.kinds import refuse_dropout
from .model.longrope import switches_while
from .packed.rows import PackedRows, attends_as_stock
from .padded.rows import PaddedRows
from .proof.proof import prove
from .requests.request import Request, Result
from .requests.stopping import Stopping
from .text import with_text


@dataclass(eq=False)
class _Loaded:
    """The adapters of one time, in the model's layers for as long as a stream that began with them goes on."""

    adapters: dict[str, dict[str, LoRA]]
    slots: dict[str, int]
    injection: Injection


class ContrastiveLoRA:
    """A causal language model with LoRA adapters beside its weights, which are held once and never changed.

    While it decodes, its rows have adapters; for whoever else calls the model, in another thread or between steps, the
    model is the base model. Several threads may decode at once: their passes take turns.

    Args:
        model: A Hugging Face causal language model, or a ``PeftModel`` over one. A ``PeftModel`` brings its adapters,
            by its names, as they are now; what is trained, loaded or set in it later is not seen here, and nothing is
            put into it.
        adapters: By the names that requests use: a folder of a PEFT LoRA adapter, its name on the hub ("owner/name",
            from the cache if it is there), or ``(config, tensors)``, a ``LoraConfig`` and PEFT's state dict.

    Raises:
        FileNotFoundError, ValueError: an adapter that cannot be honoured; the model is as it was.
    """

    def __init__(self, model: PreTrainedModel | Any, adapters: Mapping[str, Source] | None = None) -> None:
        self._peft = PeftBase(model) if holds_peft(model) else None
        self.model: PreTrainedModel = model if self._peft is None else self._peft.bare
        self.proof = prove(self.model)
        self._lock = threading.Lock()
        self._held: list[tuple[weakref.ref[_Loaded], Injection]] = []
        sources = {} if self._peft is None else dict(self._peft.adapters)
        if not isinstance(adapters, Mapping | None):
            raise ValueError(f"adapters is a {type(adapters).__name__}; give a dictionary of sources by name")
        for name, source in (adapters or {}).items():
            _check_name(name)
            if name in sources:
                raise ValueError(f"adapter {name!r} is in the PeftModel already; give this one another name")
            sources[name] = source
        self._loaded: _Loaded | None = self._load({name: self._read(name, source) for name, source in sources.items()})

    @property
    def slots(self) -> dict[str, int]:
        """Places of the loaded adapters in the stacked weights, by name; none after `remove`."""
        loaded = self._loaded
        return {} if loaded is None else loaded.slots

    def serves(self, model: nn.Module) -> bool:
        """Whether ``model``, of transformers', is the one whose adapters these are."""
        return model is (self.model if self._peft is None else self._peft.model)

    def add(self, name: str, source: Source) -> None:
        """Load another adapter; requests under way are not disturbed. All adapters are stacked anew.

        Raises:
            FileNotFoundError, ValueError: an adapter that cannot be honoured, or a name that is taken.
            RuntimeError: after `remove`.
        """
        self._check_usable()
        _check_name(name)
        self._check_free(name)
        read = self._read(name, source)
        with self._lock:
            self._check_free(name)
            self._loaded = self._load({**self._current().adapters, name: read})
            self._sweep()

    def drop(self, name: str) -> None:
        """Unload an adapter; requests under way that use it go on to their end.

        Raises:
            ValueError: no adapter of that name.
            RuntimeError: after `remove`.
        """
        with self._lock:
            adapters = dict(self._current().adapters)
            if name not in adapters:
                there = ", ".join(map(repr, adapters)) or "none"
                raise ValueError(f"adapter {name!r} is not loaded; there are {there}")
            del adapters[name]
            self._loaded = self._load(adapters)
            self._sweep()

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """Decode the requests together, each to its end.

        Raises:
            ValueError: a request with a wrong field, before anything runs.
            RuntimeError: after `remove`.
        """
        steps = self.stream(requests)
        results = [
            Result(
                expert_logprobs=[] if r.logprobs else None, amateur_logprobs=[] if r.logprobs and r.contrasts else None
            )
            for r in requests
        ]
        for step in steps:
            result = results[step.request]
            result.finish_reason = step.finish_reason
            if step.token is not None:
                result.tokens.append(step.token)
            if step.expert_logprob is not None:
                result.expert_logprobs.append(step.expert_logprob)
            if step.amateur_logprob is not None:
                result.amateur_logprobs.append(step.amateur_logprob)
        return results

    def stream(self, requests: Sequence[Request], tokenizer: PreTrainedTokenizerBase | None = None) -> Iterator[Token]:
        """As `generate`, giving each token when it is chosen; the last one of a request has its finish reason.

        Args:
            tokenizer: If given, tokens have their ``text``: never a part of a character, so perhaps none yet, and a
                request's joined are what the tokenizer decodes all its new tokens to, without special tokens.
        """
        config = self.model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None)
        loaded = self._check_usable()
        requests = [
            request.checked(f"request {place}", list(loaded.slots), config.vocab_size, context)
            for place, request in enumerate(requests)
        ]
        stopping = Stopping(requests, self.model.generation_config, context)
        lengths = [(len(r.ids()), len(r.ids()) + stopping.most(place)) for place, r in enumerate(requests)]
        anew = switches_while(config, lengths)
        rows = self._rows(may_pack=anew is None)
        steps = decode(rows, requests, stopping, loaded.slots, partial(self._turn, loaded), anew)
        return steps if tokenizer is None else with_text(steps, tokenizer)

    def remove(self) -> None:
        """Take the adapters out; the model is bit for bit what it was."""
        with self._lock:
            self._loaded = None
            for _, injection in self._held:
                injection.remove()
            self._held.clear()

    def _read(self, name: str, source: Source) -> dict[str, LoRA]:
        weights = dict(self.model.named_parameters(remove_duplicate=False))
        read = read_adapter(name, source, linear_layers(self.model), weights)
        self.proof.check_layers(f"adapter {name!r}", read)
        return read

    def _load(self, adapters: dict[str, dict[str, LoRA]]) -> _Loaded:
        """Adapters put into the model's layers, beside what streams under way hold there."""
        slots = {name: slot for slot, name in enumerate(adapters)}
        loaded = _Loaded(adapters, slots, Injection(self.model, adapters.values(), self.proof.calls))
        self._held.append((weakref.ref(loaded), loaded.injection))
        return loaded

    def _sweep(self) -> None:
        """Take out of the layers what no stream holds any longer; only within the lock."""
        for entry in [entry for entry in self._held if entry[0]() is None]:
            entry[1].remove()
            self._held.remove(entry)

    def _current(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None:
            raise RuntimeError("the adapters have been removed; make a new ContrastiveLoRA")
        return loaded

    def _check_free(self, name: str) -> None:
        if name in self.slots:
            raise ValueError(f"adapter {name!r} is loaded already; drop it first, or give this one another name")

    def _check_usable(self) -> _Loaded:
        """What requests of now use."""
        loaded = self._current()
        if self._peft is not None:
            self._peft.check()
            self._peft.follow()
        refuse_dropout(self.model)
        return loaded

    def _rows(self, may_pack: bool) -> PackedRows | PaddedRows:
        with self._lock:  # another thread's pass may be packed
            packs = may_pack and self.proof.packs and attends_as_stock(self.model)
        return PackedRows(self.proof.forward) if packs else PaddedRows(self.proof)

    @contextlib.contextmanager
    def _turn(self, loaded: _Loaded) -> Iterator[Injection]:
        """Around a forward pass: this thread's turn."""
        with self._lock:
            if self._loaded is None:
                raise RuntimeError("the adapters were removed while requests were decoded")
            if self._peft is not None:
                self._peft.check()
            self._sweep()
            yield loaded.injection


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise ValueError(f"an adapter's name is {name!r}; it must be a text (None is the base model)")
