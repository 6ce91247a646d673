"""The seam to Hugging Face's ``generate``: its arguments, our loop."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    MaxLengthCriteria,
    PreTrainedModel,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)
from transformers.generation import GenerateDecoderOnlyOutput
from transformers.generation.stopping_criteria import EosTokenCriteria

from .contrastive_lora import ContrastiveLoRA
from .generate_options import BEHIND, check_config, check_kept_back, kept_back, prompt_mask
from .loop.decode import Token
from .requests.request import Request
from .requests.together import Together
from .requests.values import members, whole


def cold_generate(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    cold: ContrastiveLoRA,
    adapter: str | Sequence[str | None] | None = None,
    alpha: float | None = 0.1,
    beta: float = 0.5,
    seed: int | None = None,
    **others: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput:
    """For ``model.generate(**inputs, custom_generate=cold_generate, cold=ContrastiveLoRA(model, …), adapter="math")``.

    Processors are called as in ``generate``, once a step for all rows, padded. Those of the options and the caller's
    own, warpers among them, change the experts' logits, in the list's order. What ``generate`` puts behind the
    caller's (warpers of the options, a watermark, normalisation) changes what the tokens are chosen from: the
    contrastive scores, or the logits of a greedy row that contrasts nothing. Stopping criteria are called likewise.

    Args:
        cold: The adapters of this model.
        adapter: The expert of all rows, or one for each prompt.
        alpha, beta: As in `Request`.
        seed: Of the draws; row i draws with ``seed + i``. None: as torch's global generator goes on.
        others: What else ``generate`` hands on: the attention mask of left-padded prompts, and what it prepares.

    Returns:
        Prompts and new tokens ``[B, length]``, rows that are done padded on the right; a row is done at the model's
        context, too. With ``return_dict_in_generate`` they are ``sequences``, beside ``logits`` (the experts', as the
        model gave them) and ``scores`` (what the tokens were chosen from) where asked for; there is no cache in it.

    Raises:
        ValueError: an option or an input that this loop has not, by name, or a field as in `Request`; nothing has run.
        RuntimeError: a row for which no token is legal.
    """
    if not isinstance(cold, ContrastiveLoRA) or not cold.serves(model):
        raise ValueError("cold holds the adapters of another model; make a ContrastiveLoRA of this one")
    config, arguments = generation_config, kept_back(model)
    streamer = others.pop("streamer", arguments.get("streamer"))
    check_config(config)
    check_kept_back(arguments)
    mask, rows = prompt_mask(input_ids, others), len(input_ids)
    adapters = _by_row(adapter, rows, config.num_return_sequences or 1)
    guided = any(isinstance(each, UnbatchedClassifierFreeGuidanceLogitsProcessor) for each in logits_processor)
    if guided and adapters != [None] * rows:
        raise ValueError("guidance_scale cannot be honoured beside an adapter: its own pass is the base model's")
    if guided and model is not cold.model:
        raise ValueError("guidance_scale cannot be honoured with a PeftModel: its own pass is the active adapter's")
    ends = _ends(stopping_criteria)
    padding = _padding(config, ends)
    together, drawing = _together(model, input_ids, logits_processor, stopping_criteria, config, padding)
    if seed is not None and whole(seed) is None:
        raise ValueError(f"seed is {seed!r}; a whole number from 0 to 2 ** 64 - 1, or None")
    if config.do_sample and seed is None:
        seed = int(torch.randint(1 << 62, (1,)))
    vocabulary = model.config.get_text_config().vocab_size
    requests = [
        Request(
            ids[counts],
            adapter=name,
            alpha=alpha,
            beta=beta,
            max_new_tokens=_new_tokens(config, stopping_criteria, input_ids.shape[1]),
            seed=None if seed is None else whole(seed) + row,
            # As in generate, an id outside the vocabulary ends nothing.
            eos_token_id=[end for end in ends if 0 <= end < vocabulary],
            together=together,
            **drawing,
        )
        for row, (ids, counts, name) in enumerate(zip(input_ids, mask, adapters, strict=True))
    ]
    new = []
    for column in _columns(cold.stream(requests), rows, padding):
        new.append(torch.tensor(column))
        if streamer is not None:
            streamer.put(new[-1])
    if streamer is not None:
        streamer.end()
    sequences = torch.cat([input_ids, *(column[:, None].to(input_ids) for column in new)], 1)
    if not config.return_dict_in_generate:
        return sequences
    return GenerateDecoderOnlyOutput(
        sequences=sequences,
        scores=together.scores if config.output_scores else None,
        logits=together.logits if config.output_logits else None,
    )


def _by_row(adapter: str | Sequence[str | None] | None, rows: int, copies: int) -> list[str | None]:
    """The expert of each row; ``generate`` has repeated each prompt ``copies`` times."""
    if isinstance(adapter, str) or not isinstance(adapter, Iterable):
        return [adapter] * rows
    adapter = list(adapter)
    names = [name for name in adapter for _ in range(copies)]
    if len(names) != rows:
        raise ValueError(f"adapter names {len(adapter)} experts for {rows // copies} rows of input_ids")
    return names


def _together(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    processors: LogitsProcessorList,
    criteria: StoppingCriteriaList,
    config: GenerationConfig,
    padding: int,
) -> tuple[Together | None, dict[str, Any]]:
    """What is called for the whole batch, if anything is; and the fields of requests that say how to draw."""
    ahead, behind = _parts(model, processors, config, input_ids.device)
    records = dict(
        keeps_logits=bool(config.return_dict_in_generate and config.output_logits),
        keeps_scores=bool(config.return_dict_in_generate and config.output_scores),
    )
    own = [criterion for criterion in criteria if type(criterion) not in (MaxLengthCriteria, EosTokenCriteria)]
    plain = {TemperatureLogitsWarper: "temperature", TopKLogitsWarper: "top_k", TopPLogitsWarper: "top_p"}
    fields = {"temperature": 1.0} if config.do_sample else {}
    if ahead or own or any(records.values()) or any(type(warper) not in plain for warper in behind):
        return Together(input_ids, ahead, behind, criteria, padding, **records), fields
    return None, fields | {plain[type(warper)]: getattr(config, plain[type(warper)]) for warper in behind}


def _parts(
    model: PreTrainedModel, processors: LogitsProcessorList, config: GenerationConfig, device: torch.device
) -> tuple[list, list]:
    """The processors of options and caller, and those that ``generate`` has put behind them."""
    alone = GenerationConfig()
    for name in BEHIND:
        setattr(alone, name, getattr(config, name, None))
    kinds = [type(processor) for processor in model._get_logits_processor(alone, device=device)]
    first = len(processors) - len(kinds)
    ahead, behind = list(processors[: max(first, 0)]), list(processors[max(first, 0) :])
    if [type(processor) for processor in behind] != kinds:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"logits_processor does not end with {names}, which generate makes of its options")
    return ahead, behind


def _new_tokens(config: GenerationConfig, criteria: StoppingCriteriaList, prompt: int) -> int:
    """As the length criteria say, of which a caller's own takes the place of the option's; one token at least."""
    lengths = [criterion.max_length for criterion in criteria if type(criterion) is MaxLengthCriteria]
    return max(min(lengths, default=config.max_length) - prompt, 1)


def _ends(criteria: StoppingCriteriaList) -> list[int]:
    """The ids of the options and of a caller's own criteria, which take their place."""
    ends = [criterion.eos_token_id for criterion in criteria if type(criterion) is EosTokenCriteria]
    return [int(end) for several in ends for end in members(several) if end == int(end)]


def _padding(config: GenerationConfig, ends: list[int]) -> int:
    """What ``generate`` would pad with; 0 where it would not, since nothing ends a row there."""
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    ends = ends if config.eos_token_id is None else members(config.eos_token_id)
    return int(ends[0]) if ends else 0


def _columns(steps: Iterable[Token], rows: int, padding: int) -> Iterator[list[int]]:
    """The rows' tokens place by place, each as soon as all rows have it or are done."""
    texts, going, given = [[] for _ in range(rows)], set(range(rows)), 0
    for step in steps:
        if step.finish_reason == "no_token":
            raise RuntimeError(
                f"row {step.request}: no token is legal after {len(texts[step.request])} new ones; "
                "the processors leave none, or the logits are NaN"
            )
        if step.token is not None:
            texts[step.request].append(step.token)
        if step.finish_reason is not None:
            going.discard(step.request)
        while any(len(text) > given for text in texts) and all(len(texts[row]) > given for row in going):
            yield [text[given] if len(text) > given else padding for text in texts]
            given += 1
