"""Stock models of several families with PEFT's own adapters, against PEFT's own passes."""

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")

from decoding import ContrastiveLoRA, Request

from .tiny import FAMILIES, Reference, prompts, save_adapter, tiny_model

NEW = 8
PROMPTS = prompts(3, 14, 9)


class Family:
    def __init__(self, name, folder):
        self.model = tiny_model(name)
        self.folder = save_adapter(folder, self.model, fan_in_fan_out=name == "gpt2")
        self.cold = ContrastiveLoRA(self.model, {"expert": self.folder})
        self.reference = Reference(self.model, self.folder)

    def tokens(self, **options):
        requests = [Request(prompt, max_new_tokens=NEW, **options) for prompt in PROMPTS]
        return [result.tokens for result in self.cold.generate(requests)]

    def generated(self, model):
        """By ``generate`` of Hugging Face, one prompt at a time."""
        ids = [torch.tensor([prompt]) for prompt in PROMPTS]
        options = dict(max_new_tokens=NEW, do_sample=False)
        whole = [model.generate(input_ids=i, attention_mask=torch.ones_like(i), **options)[0].tolist() for i in ids]
        return [ids[len(prompt) :] for ids, prompt in zip(whole, PROMPTS)]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return Family(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("scheme", ["padded", "packed"], indirect=True)
def test_contrastive_tokens_are_those_of_two_passes_without_cache_or_padding(family, scheme):
    tokens = family.tokens(adapter="expert")
    assert tokens == [family.reference.greedy(prompt, NEW) for prompt in PROMPTS]
    assert tokens != family.tokens(adapter="expert", beta=0)


@pytest.mark.parametrize("alpha, beta", [(0.01, 2.0), (None, 1.0)])
def test_other_strengths(family, alpha, beta):
    wanted = [family.reference.greedy(prompt, NEW, alpha=alpha, beta=beta) for prompt in PROMPTS]
    assert family.tokens(adapter="expert", alpha=alpha, beta=beta) == wanted


def test_without_contrast_tokens_are_those_of_peft(family):
    tokens = family.tokens(adapter="expert", beta=0)
    assert tokens == family.generated(family.reference.model)
    assert tokens != family.tokens()


def test_without_adapter_tokens_are_those_of_the_model(family):
    assert family.tokens() == family.generated(family.model)
