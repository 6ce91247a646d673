"""What ``generate`` is given and this loop has not: refused by name, before anything runs."""

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import CompileConfig, DynamicCache, GenerationConfig

from decoding import ContrastiveLoRA, cold_generate

from .tiny import CONTEXT, prompts, tiny_model

PROMPT, OTHER = prompts(6, 6, seed=7)
IDS = torch.tensor([PROMPT, OTHER])
ONES = torch.ones_like(IDS)


def changed(row, places):
    mask = ONES.clone()
    mask[row, places] = 0
    return mask


OPTIONS = {
    "num_beams": (dict(num_beams=2), "num_beams=2 cannot be honoured; contrastive decoding has 1"),
    "num_beam_groups": (dict(num_beams=4, num_beam_groups=2), "num_beam_groups=2 cannot be honoured; .* has 1"),
    "groups alone": (dict(num_beam_groups=2), "num_beam_groups=2 cannot be honoured"),
    "diversity_penalty": (dict(diversity_penalty=0.5), "diversity_penalty=0.5 cannot be honoured; leave it out"),
    "penalty_alpha": (dict(penalty_alpha=0.6, top_k=4), "penalty_alpha=0.6 cannot be honoured; leave it out"),
    "dola_layers": (dict(dola_layers="high"), "dola_layers=high cannot be honoured"),
    "force_words_ids": (dict(force_words_ids=[[5]], num_beams=2), "force_words_ids=.* cannot be honoured"),
    "constraints": (dict(constraints=[object()]), "constraints=.* cannot be honoured"),
    "prompt_lookup": (dict(prompt_lookup_num_tokens=3), "prompt_lookup_num_tokens=3 cannot be honoured"),
    "early exit": (dict(assistant_early_exit=1), "assistant_early_exit=1 cannot be honoured"),
    "cache": (dict(cache_implementation="static"), "cache_implementation=static .*; contrastive decoding has dynamic"),
    "offloaded": (dict(cache_implementation="offloaded"), "cache_implementation=offloaded cannot be honoured"),
    "no cache": (dict(use_cache=False), "use_cache=False cannot be honoured; contrastive decoding has True"),
    "chunks": (dict(prefill_chunk_size=4), "prefill_chunk_size=4 cannot be honoured"),
    "compiler": (dict(compile_config=CompileConfig()), r"(?s)compile_config=.* cannot be honoured"),
    "attentions": (dict(output_attentions=True, return_dict_in_generate=True), "output_attentions=True cannot be"),
    "hidden states": (dict(output_hidden_states=True), "output_hidden_states=True cannot be honoured"),
    "guidance": (dict(guidance_scale=1.5), "guidance_scale cannot be honoured beside an adapter"),
    "synced": (dict(synced_gpus=True), "synced_gpus cannot be honoured"),
    "past": (dict(past_key_values=DynamicCache()), "past_key_values cannot be honoured"),
    "embeddings": (dict(inputs_embeds=torch.zeros(2, 6, 32)), "inputs_embeds cannot be honoured"),
    "embeddings alone": (
        dict(input_ids=None, inputs_embeds=torch.zeros(2, 6, 32)),
        "inputs_embeds cannot be honoured; the inputs of contrastive decoding are input_ids and a mask",
    ),
    "padding within": (
        dict(input_ids=torch.tensor([[5, 6, 1, 7]]), pad_token_id=1, eos_token_id=2),
        "attention_mask has a 0 behind a 1 in row 0; .* generate makes one of where pad_token_id stands",
    ),
    "positions": (dict(position_ids=torch.arange(6)[None] + 3), "position_ids cannot be honoured unless they count"),
    "one row's positions": (dict(position_ids=torch.arange(6) + IDS.new_tensor([[0], [1]])), "position_ids cannot"),
    "labels": (dict(labels=IDS), "labels cannot be honoured; the inputs of contrastive decoding are input_ids and a"),
    "logits": (dict(logits_to_keep=torch.tensor([0])), "logits_to_keep cannot be honoured"),
    "padded right": (dict(attention_mask=changed(1, [4, 5])), "attention_mask has a 0 behind a 1 in row 1; .* left"),
    "a hole": (dict(attention_mask=changed(0, [2])), "attention_mask has a 0 behind a 1 in row 0"),
    "no token": (dict(attention_mask=changed(1, slice(None))), "attention_mask leaves row 1 of input_ids no token"),
    "weights": (dict(attention_mask=ONES * 2), "attention_mask holds values other than 0 and 1"),
    "another shape": (dict(attention_mask=changed(1, 1)[:, 1:]), r"attention_mask has shape \[2, 5\]; input_ids has"),
    "short ones": (dict(attention_mask=ONES[:, 1:]), r"position_ids .* unless they count the 1s of a mask \[2, 6\]"),
    "experts": (dict(adapter=["head"]), "adapter names 1 experts for 2 rows"),
    "expert": (dict(adapter="maths"), "request 0: adapter 'maths' is not loaded"),
    "no name": (dict(adapter=5), "request 0: adapter 5 is not loaded"),
    "expert of a row": (dict(adapter=["head", 5]), "request 1: adapter 5 is not loaded"),
    "alpha": (dict(alpha=2.0), "request 0: alpha is 2.0"),
    "beta": (dict(beta=None), "request 0: beta is None"),
    "seed": (dict(seed="x"), "seed is 'x'; a whole number"),
    "seed's truth": (dict(seed=True), "seed is True; a whole number"),
    "a huge seed": (dict(seed=(1 << 64) - 1), f"request 1: seed is {1 << 64}"),
    "too long": (dict(input_ids=IDS[:, :1].expand(2, CONTEXT + 1), attention_mask=None), "the model's context is"),
}


@pytest.mark.parametrize("options, complaint", OPTIONS.values(), ids=OPTIONS)
def test_refusals(llama, cold, options, complaint):
    passes = []
    handle = llama.register_forward_hook(lambda *_: passes.append(1))
    options = {"input_ids": IDS, "adapter": "head", "max_new_tokens": 4, "do_sample": False, **options}
    try:
        with pytest.raises(ValueError, match=complaint):
            llama.generate(custom_generate=cold_generate, cold=cold, **options)
    finally:
        handle.remove()
    assert not passes


def test_an_assistant(llama, cold):
    with pytest.raises(ValueError, match="assistant_model cannot be honoured; contrastive decoding has its amateur"):
        llama.generate(IDS, custom_generate=cold_generate, cold=cold, assistant_model=llama, max_new_tokens=3)


def test_options_that_a_later_release_brings(llama, cold, monkeypatch):
    class Later(GenerationConfig):
        def __init__(self, **kwargs):
            super().__init__(**{"novel": None, **kwargs})

    monkeypatch.setattr("decoding.generate_options.GenerationConfig", Later)
    generate = dict(inputs=IDS, custom_generate=cold_generate, cold=cold, max_new_tokens=3)
    llama.generate(generation_config=Later(), **generate)
    with pytest.raises(ValueError, match="novel=7 cannot be honoured; leave it out"):
        llama.generate(generation_config=Later(novel=7), **generate)


HARMLESS = dict(
    position_ids=torch.arange(6)[None],
    logits_to_keep=1,
    use_cache=True,
    cache_implementation="dynamic",
    num_beams=1,
    disable_compile=True,
    length_penalty=0.5,
    dola_layers=None,
    penalty_alpha=0.0,
)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_changes_nothing_is_let_pass(llama, cold, name):
    def generate(**options):
        options = dict(options, custom_generate=cold_generate, cold=cold, adapter="head")
        return llama.generate(IDS, max_new_tokens=3, do_sample=False, **options)

    assert torch.equal(generate(**{name: HARMLESS[name]}), generate())


def test_inputs_of_other_families():
    """A neutral value of this model's own would change its tokens, too: it is an embedding."""
    model = tiny_model("gpt2")
    kinds = torch.zeros_like(IDS)
    with pytest.raises(ValueError, match="token_type_ids cannot be honoured"):
        model.generate(IDS, token_type_ids=kinds, custom_generate=cold_generate, cold=ContrastiveLoRA(model, {}))
