"""Contrastive LoRA decoding of a stock model: experts are adapters, the amateur is the same model without them."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from transformers import PreTrainedModel

from .adapter import read_adapter
from .kinds import refuse_dropout, refuse_kind
from .layers import Injection, linear_layers
from .loop import Token, decode
from .proof import prove
from .request import Request, Result
from .stopping import Stopping


class ContrastiveLoRA:
    """A causal language model with LoRA adapters beside its weights, which are held once and never changed.

    While it decodes, its rows have adapters; for whoever else calls the model, in another thread or between steps, the
    model is the base model. Several threads may decode at once: their passes take turns.

    Args:
        model: A Hugging Face causal language model.
        adapters: Folders of PEFT LoRA adapters, by the names that requests use.

    Raises:
        FileNotFoundError, ValueError: an adapter that cannot be honoured; the model is as it was.
    """

    def __init__(self, model: PreTrainedModel, adapters: Mapping[str, str | Path]) -> None:
        if any(type(module).__module__.partition(".")[0] == "peft" for module in getattr(model, "modules", list)()):
            raise ValueError("model holds PEFT layers; give the base model, and the adapter's folder in adapters")
        refuse_kind(model)
        layers, weights = linear_layers(model), dict(model.named_parameters(remove_duplicate=False))
        read = [read_adapter(name, folder, layers, weights) for name, folder in adapters.items()]
        self.proof = prove(model, layers)
        for name, adapter in zip(adapters, read, strict=True):
            self.proof.check_layers(f"adapter {name!r}", adapter)
        self.model = model
        self.slots = {name: slot for slot, name in enumerate(adapters)}
        self._injection: Injection | None = Injection(model, read)
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """Decode the requests together, each to its end.

        Raises:
            ValueError: a request with a wrong field, before anything runs.
            RuntimeError: after `remove`.
        """
        results = [
            Result(
                expert_logprobs=[] if r.logprobs else None, amateur_logprobs=[] if r.logprobs and r.contrasts else None
            )
            for r in requests
        ]
        for step in self.stream(requests):
            result = results[step.request]
            result.finish_reason = step.finish_reason
            if step.token is not None:
                result.tokens.append(step.token)
            if step.expert_logprob is not None:
                result.expert_logprobs.append(step.expert_logprob)
            if step.amateur_logprob is not None:
                result.amateur_logprobs.append(step.amateur_logprob)
        return results

    def stream(self, requests: Sequence[Request]) -> Iterator[Token]:
        """As `generate`, giving each token when it is chosen; the last one of a request has its finish reason."""
        config = self.model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None)
        for place, request in enumerate(requests):
            request.check(f"request {place}", list(self.slots), config.vocab_size, context)
        self._check_usable()
        stopping = Stopping(requests, self.model.generation_config, context)
        return decode(self.proof, requests, stopping, self.slots, self._turn)

    def remove(self) -> None:
        """Take the adapters out; the model is bit for bit what it was."""
        with self._lock:
            if self._injection is not None:
                self._injection.remove()
            self._injection = None

    def _check_usable(self) -> None:
        if self._injection is None:
            raise RuntimeError("the adapters have been removed; make a new ContrastiveLoRA")
        refuse_dropout(self.model)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Injection]:
        """Around a forward pass: this thread's turn."""
        with self._lock:
            if self._injection is None:
                raise RuntimeError("the adapters were removed while requests were decoded")
            yield self._injection
