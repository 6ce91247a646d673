"""Contrastive LoRA decoding of a stock model: experts are adapters, the amateur is the same model without them."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel

from .adapter import read_adapter
from .batch import Batch
from .choice import Chooser, TokenChoice
from .layers import Injection, linear_layers
from .request import Request, Result
from .stopping import Stopping


class Token(NamedTuple):
    """One step of one request, as `ContrastiveLoRA.stream` gives it.

    Args:
        request: The request's place in the list.
        token: The new token; None if there was none, and the reason is ``length`` or ``no_token``.
        finish_reason: As in `Result`; None while the request goes on.
        expert_logprob, amateur_logprob: None unless the request asks for them, and has an amateur.
    """

    request: int
    token: int | None
    finish_reason: str | None = None
    expert_logprob: float | None = None
    amateur_logprob: float | None = None


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
        if any(type(module).__module__.partition(".")[0] == "peft" for module in model.modules()):
            raise ValueError("model holds PEFT layers; give the base model, and the adapter's folder in adapters")
        layers, weights = linear_layers(model), dict(model.named_parameters(remove_duplicate=False))
        read = [read_adapter(name, folder, layers, weights) for name, folder in adapters.items()]
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
        return self._steps(requests, Stopping(requests, self.model.generation_config, context))

    def remove(self) -> None:
        """Take the adapters out; the model is bit for bit what it was."""
        with self._lock:
            if self._injection is not None:
                self._injection.remove()
            self._injection = None

    def _check_usable(self) -> None:
        if self._injection is None:
            raise RuntimeError("the adapters have been removed; make a new ContrastiveLoRA")
        for name, module in self.model.named_modules():
            rate = module.p if isinstance(module, nn.Dropout) else getattr(module, "attention_dropout", None)
            if module.training and isinstance(rate, (int, float)) and rate > 0:
                raise ValueError(f"the model is in training mode and drops out in {name}; call model.eval()")

    def _steps(self, requests: Sequence[Request], stopping: Stopping) -> Iterator[Token]:
        left = []
        for place, request in enumerate(requests):
            if stopping.most(place) > 0:
                left.append((place, request))
            else:
                yield Token(place, None, "length")
        batch, chooser = Batch(self.model, left, self.slots), Chooser(requests)
        while batch.left:
            with self._lock:
                if self._injection is None:
                    raise RuntimeError("the adapters were removed while requests were decoded")
                expert, amateur = batch.forward(self._injection.rows)
            choice = chooser.choose(batch.left, batch.texts, expert, amateur)
            steps = [_step(row, batch, choice, stopping) for row in range(len(batch.left))]
            batch.append(choice.tokens, [step.finish_reason is None for step in steps])
            yield from steps


def _step(row: int, batch: Batch, choice: TokenChoice, stopping: Stopping) -> Token:
    place, request = batch.left[row]
    token = choice.tokens[row]
    if token < 0:
        return Token(place, None, "no_token")
    reason = stopping.reason(place, [*batch.texts[place], token])
    if not request.logprobs:
        return Token(place, token, reason)
    expert, amateur = choice.logprobs(row)
    return Token(place, token, reason, expert, amateur if request.contrasts else None)
