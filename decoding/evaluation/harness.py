"""A model of lm-evaluation-harness (package lm_eval, 0.4.13) that decodes by CoLD.

``lm_eval.simple_evaluate(model=ColdLM(model, "folder"), tasks=[...])``.
"""

import torch
from lm_eval.api.model import TemplateLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cold_kernels import contrastive_argmax, contrastive_score

from ..contrastive_lora import ContrastiveLoRA
from ..models import load
from ..requests.choice import EVERYTHING
from ..requests.request import Request

GENERATION = {"until", "max_gen_toks", "do_sample", "temperature", "top_k", "top_p"}
"""Generation arguments of tasks that are honoured."""


class ColdLM(TemplateLM):
    """Answers the harness's requests by CoLD, or by plain LoRA (``beta`` 0) or the base model (no adapter).

    Generated text is CoLD's own. The log-likelihood of a given text is that of the contrastive scores' softmax without
    the mask by alpha, which would make most texts impossible; whether it is the greedy one is told with the mask.

    Args:
        model: As `decoding.models.load` takes it, or a pair of model and tokenizer.
        adapter: A folder or a name on the hub; None for the base model.
        alpha, beta: Of every request.
        batch_size: Requests that are decoded together.
        max_gen_toks: New tokens where a task does not tell.
    """

    def __init__(
        self,
        model: str | tuple[PreTrainedModel, PreTrainedTokenizerBase],
        adapter: str | None = None,
        alpha: float = 0.1,
        beta: float = 0.5,
        batch_size: int = 8,
        max_gen_toks: int = 256,
    ) -> None:
        super().__init__()
        loaded, self.tokenizer = load(model) if isinstance(model, str) else model
        self._name = model if isinstance(model, str) else type(loaded).__name__
        self._cold = ContrastiveLoRA(loaded, {} if adapter is None else {"expert": adapter})
        self._adapter = None if adapter is None else "expert"
        self._alpha, self._beta, self._most = float(alpha), float(beta), int(max_gen_toks)
        self._batch = int(batch_size)
        if self._batch < 1:
            raise ValueError(f"batch_size is {batch_size}; a whole number from 1 on")
        self._contrasts = self._adapter is not None and self._beta > 0

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self.tokenizer.eos_token_id

    @property
    def tokenizer_name(self) -> str:
        """What the harness files requests under."""
        return self.tokenizer.name_or_path or self._name

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_) -> list[int]:
        """Token ids of a text."""
        more = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return self.tokenizer(string, **more).input_ids

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Messages as one text, by the tokenizer's template."""
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
        """Texts up to the first of the strings that end them.

        Raises:
            ValueError: a generation argument that is not honoured.
        """
        asked = [self._request(*request.args) for request in requests]
        texts = []
        for start in range(0, len(asked), self._batch):
            part = asked[start : start + self._batch]
            for (_, until), result in zip(part, self._cold.generate([each for each, _ in part]), strict=True):
                texts.append(_cut(self.tokenizer.decode(result.tokens, skip_special_tokens=True), until))
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def loglikelihood_rolling(self, requests, disable_tqdm: bool = False) -> list[float]:
        """Refused.

        Raises:
            NotImplementedError: always; CoLD chooses tokens, and its scores are no model of whole documents.
        """
        raise NotImplementedError("ColdLM answers generate_until and loglikelihood; perplexity has no meaning for CoLD")

    def _request(self, context: str, options: dict) -> tuple[Request, list[str]]:
        if strange := sorted(set(options) - GENERATION):
            known = ", ".join(sorted(GENERATION))
            raise ValueError(f"generation argument {strange[0]!r} is not honoured; {known} are")
        until = options.get("until") or []
        until = [until] if isinstance(until, str) else list(until)
        ids = self.tok_encode(context)
        drawn = options.get("do_sample", bool(options.get("temperature")))
        stop = _Until(self.tokenizer, len(ids), until)
        request = Request(
            ids,
            self._adapter,
            self._alpha,
            self._beta,
            int(options.get("max_gen_toks", self._most)),
            temperature=options.get("temperature", 1.0) if drawn else 0.0,
            top_k=options.get("top_k"),
            top_p=options.get("top_p"),
            seed=0 if drawn else None,
            stopping_criteria=[stop] if until else [],
        )
        return request, until

    def _loglikelihood_tokens(self, requests, disable_tqdm: bool = False, **_) -> list[tuple[float, bool]]:
        found = []
        for start in range(0, len(requests), self._batch):
            part = requests[start : start + self._batch]
            for (pair, _, wanted), (expert, amateur) in zip(part, self._forced(part), strict=True):
                found.append(self._likelihood(expert, amateur, torch.tensor(wanted)))
                self.cache_hook.add_partial("loglikelihood", pair, found[-1])
        return found

    def _forced(self, part) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Logits ``[tokens, V]`` before each token that is wanted, by expert and amateur."""
        adapters = [self._adapter, None] if self._contrasts else [self._adapter]
        asked, rows = [], []
        for _, context, wanted in part:
            for adapter in adapters:
                rows.append(_Forced(wanted))
                options = dict(max_new_tokens=len(wanted), logits_processor=[rows[-1]], eos_token_id=())
                asked.append(Request(context, adapter, beta=0.0, **options))
        self._cold.generate(asked)
        logits = [torch.stack(row.seen) for row in rows]
        return [(logits[at], logits[at + len(adapters) - 1]) for at in range(0, len(logits), len(adapters))]

    def _likelihood(self, expert: torch.Tensor, amateur: torch.Tensor, wanted: torch.Tensor) -> tuple[float, bool]:
        beta = torch.full((len(expert),), self._beta if self._contrasts else 0.0)
        scores = contrastive_score(expert, amateur, torch.full_like(beta, EVERYTHING), beta)
        told = scores.log_softmax(1).gather(1, wanted[:, None]).sum()
        alpha = torch.full_like(beta, self._alpha)
        best = contrastive_argmax(expert, amateur, alpha, beta) if self._contrasts else expert.argmax(1)
        return float(told), bool((best == wanted).all())


class _Forced:
    """A logits processor that keeps what it is given, and leaves the wanted token alone."""

    def __init__(self, wanted: list[int]) -> None:
        self.seen: list[torch.Tensor] = []
        self._wanted = wanted

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        token = self._wanted[len(self.seen)]
        self.seen.append(scores[0].float().cpu().clone())
        forced = torch.full_like(scores, -torch.inf)
        forced[0, token] = 0.0
        return forced


class _Until:
    """A stopping criterion: one of the strings is in what was generated."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: int, until: list[str]) -> None:
        self._tokenizer, self._prompt, self._until = tokenizer, prompt, until

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor | None) -> bool:
        text = self._tokenizer.decode(ids[0, self._prompt :], skip_special_tokens=True)
        return any(each in text for each in self._until)


def _cut(text: str, until: list[str]) -> str:
    return text[: min((text.find(each) for each in until if each in text), default=len(text))]
