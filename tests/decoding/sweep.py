"""One family of models decoded: what came of it, against two passes of PEFT's for each token."""

import inspect
import re
import tempfile
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from decoding import ContrastiveLoRA, Request

from .families import PAD, tiny_family
from .tiny import VOCABULARY, Reference, quiet, tuned

NEW = 8
LENGTHS = (3, 14, 9)
TIE = 1e-4
"""Of the scores' spread: two tokens whose scores are nearer are tied within rounding."""

PEFT_REFUSES = {family: "out_proj" for family in ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")}
"""Layers that PEFT will not adapt in these families."""

MADE_PARAMETERS = ("gate_proj", "up_proj", "down_proj", "gate")
"""Layers that PEFT takes for older names of the experts' parameters, in families with experts."""


@dataclass(frozen=True)
class Outcome:
    """What a family came to.

    Args:
        verdict: ``right``; ``right with a cache``, if PEFT's own tokens with a cache, one text at a time, are not those
            without one, and ours are the former; ``refused``, ``not built`` or ``wrong``.
        reason: Why it is refused or cannot be built, or what is wrong; empty for ``right``.
        adapted: How many layers the adapter was on.
        left_out: Layers of the family that cannot be adapted, as a name without numbers and the reason.
        pads: Whether rows of several lengths go together.
        packs: Whether they are packed.
    """

    verdict: str
    reason: str = ""
    adapted: int = 0
    left_out: tuple[tuple[str, str], ...] = ()
    pads: bool = True
    packs: bool = False


@quiet
def outcome(family: str, **changes) -> Outcome:
    """Build the family, adapt all layers that can be adapted, decode, and compare each token.

    Args:
        changes: To its configuration.
    """
    try:
        model = tiny_family(family, **changes)
    except Exception as error:
        return Outcome("not built", f"{type(error).__name__}: {error}".partition("\n")[0])
    try:
        proof = ContrastiveLoRA(model, {}).proof
    except ValueError as error:
        return Outcome("refused", str(error))
    adapted = [name for name in proof.calls if PEFT_REFUSES.get(family, "-") not in name]
    peft = _tuned(model, adapted)
    if peft.peft_config["default"].target_parameters:
        adapted = [name for name in adapted if name.rpartition(".")[2] not in MADE_PARAMETERS]
        peft = _tuned(model, adapted)
    with tempfile.TemporaryDirectory() as folder:
        peft.save_pretrained(folder)
        cold = ContrastiveLoRA(model, {"expert": folder})
    verdict = "right"
    decoded, reference = _decoded(cold), FamilyReference(model, peft)
    wrong = next(filter(None, (_wrong(request, tokens, reference) for request, tokens in decoded)), "")
    if wrong and hasattr(model.config.get_text_config(), "index_topk"):
        reference = CachedReference(model, peft)
        if not any(_wrong(request, tokens, reference) for request, tokens in decoded):
            wrong, verdict = "", "right with a cache"
    left_out = tuple(sorted({(_plain(name), reason) for name, reason in proof.refused.items()}))
    return Outcome("wrong" if wrong else verdict, wrong, len(adapted), left_out, proof.pads, proof.packs)


class FamilyReference(Reference):
    """PEFT's model as it was trained, since PEFT cannot load again what it saves of some families.

    It is called by arguments that the family's ``forward`` has.
    """

    def __init__(self, model: PreTrainedModel, peft: PeftModel) -> None:
        self.model = peft
        self.options = dict(use_cache=False) if "use_cache" in inspect.signature(type(model).forward).parameters else {}


class CachedReference(FamilyReference):
    """With a cache, token by token after the prompt, as ``generate`` calls a model: one text at a time, no padding."""

    prompt: int

    @torch.no_grad()
    def logits(self, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        with self.model.disable_adapter():
            amateur = self._last(ids)
        return self._last(ids), amateur

    def _last(self, ids: list[int]) -> torch.Tensor:
        output = self.model(input_ids=torch.tensor([ids[: self.prompt]]), use_cache=True)
        for token in ids[self.prompt :]:
            output = self.model(input_ids=torch.tensor([[token]]), past_key_values=output.past_key_values)
        return output.logits[0, -1]


def texts(seed: int = 0) -> list[list[int]]:
    """Prompts without padding, two of which are longer than the sliding windows."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(PAD + 1, VOCABULARY, (length,), generator=generator).tolist() for length in LENGTHS]


def _tuned(model: PreTrainedModel, layers: list[str]) -> PeftModel:
    return tuned(model, target_modules="|".join(map(re.escape, layers)))


def _decoded(cold: ContrastiveLoRA) -> list[tuple[Request, list[int]]]:
    kinds = (dict(adapter="expert"), dict(adapter="expert", beta=0.0), {})
    requests = [Request(text, max_new_tokens=NEW, **kind) for text in texts() for kind in kinds]
    return [(request, result.tokens) for request, result in zip(requests, cold.generate(requests), strict=True)]


def _wrong(request: Request, tokens: list[int], reference: Reference) -> str | None:
    """What the first wrong token is, if one is: one that does not have the best score, nor ties with it."""
    reference.prompt = len(request.input_ids)
    for i, token in enumerate(tokens):
        text = [*request.input_ids, *tokens[:i]]
        scores = reference.scores(text, beta=request.beta) if request.adapter else reference.logits(text)[1]
        spread = float(scores[scores.isfinite()].max() - scores[scores.isfinite()].min()) or 1.0
        if not scores[token] >= scores.max() - TIE * spread:
            kind = "base" if request.adapter is None else f"beta {request.beta}"
            return f"{kind}, prompt of {len(request.input_ids)}: token {i} is {token}, not {int(scores.argmax())}"
    return None


def _plain(name: str) -> str:
    """The layer's name without the numbers of layers and experts."""
    return ".".join(part for part in name.split(".") if not part.isdigit())
