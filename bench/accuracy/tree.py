"""Many ways to choose tokens decoded together: prompts of one length, and a pass only for each text that differs."""

from collections.abc import Callable, Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from .stories import END

Choose = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of the expert's and the amateur's logits ``[rows, V]``, the token of each row."""


class _Rows:
    """A model's keys and values of texts that are equally long."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model, self._cache = model, DynamicCache(config=model.config)

    def feed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits after tokens ``[rows, new]``: ``[rows, V]``."""
        passed = self._model(input_ids=tokens, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        return passed.logits[:, -1]

    def select(self, rows: torch.Tensor) -> None:
        """Take these rows, each as often as it is named."""
        self._cache.batch_select_indices(rows)


@torch.inference_mode()
def decode(
    expert: PreTrainedModel,
    amateur: PreTrainedModel | None,
    prompts: torch.Tensor,
    choices: Sequence[Choose],
    length: int,
) -> torch.Tensor:
    """Decode every prompt in every way.

    Args:
        amateur: None where no choice looks at it; choices are then given the expert's logits twice.
        prompts: ``[count, tokens]``.
        length: New tokens; after `END` all are `END`.

    Returns:
        ``[choices, count, length]``, int64.
    """
    models = [_Rows(model) for model in (expert, amateur) if model is not None]
    logits = [rows.feed(prompts) for rows in models]
    at = torch.arange(len(prompts)).expand(len(choices), -1)
    done = torch.zeros(len(prompts), dtype=torch.bool)
    tokens = []
    for step in range(length):
        chosen = torch.stack([choose(logits[0], logits[-1]) for choose in choices])
        chosen = torch.where(done, END, chosen).gather(1, at)
        tokens.append(chosen)
        texts, at = torch.unique(at * expert.config.vocab_size + chosen, return_inverse=True)
        parents, last = texts // expert.config.vocab_size, texts % expert.config.vocab_size
        done = last == END
        if done.all():
            tokens += [torch.full_like(chosen, END)] * (length - step - 1)
            break
        for rows in models:
            rows.select(parents)
        logits = [rows.feed(last[:, None]) for rows in models]
    return torch.stack(tokens, -1)


@torch.inference_mode()
def beam_search(model: PreTrainedModel, prompts: torch.Tensor, width: int, length: int) -> torch.Tensor:
    """The likeliest text that a search finds which keeps ``width`` of each prompt: ``[count, length]``."""
    rows, count = _Rows(model), len(prompts)
    step = rows.feed(prompts).log_softmax(-1)
    vocabulary = step.shape[1]
    scores, first = step.topk(width, 1)
    texts = first[:, :, None]
    rows.select(torch.arange(count).repeat_interleave(width))
    for _ in range(length - 1):
        step = rows.feed(texts[:, :, -1].reshape(-1, 1)).log_softmax(-1).view(count, width, vocabulary)
        ended = texts[:, :, -1] == END
        step[ended] = -torch.inf
        step[..., END] = torch.where(ended, 0.0, step[..., END])
        scores, best = (scores[:, :, None] + step).flatten(1).topk(width, 1)
        parents = best // vocabulary
        texts = torch.cat(
            [texts.gather(1, parents[:, :, None].expand(-1, -1, texts.shape[2])), (best % vocabulary)[:, :, None]], 2
        )
        rows.select((parents + width * torch.arange(count)[:, None]).flatten())
    return texts.gather(1, scores.argmax(1)[:, None, None].expand(-1, 1, length))[:, 0]
