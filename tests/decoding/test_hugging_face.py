"""``generate(custom_generate=cold_generate)``: our loop, with the options of Hugging Face's."""

import math

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import GenerationConfig, StoppingCriteria

from decoding import ContrastiveLoRA, Request, cold_generate

from .tiny import VOCABULARY, prompts, tiny_model

PROMPT, SHORT, LONG = prompts(6, 3, 9, seed=7)
NEW = 7
PADDED = torch.tensor([[0] * (len(LONG) - len(prompt)) + prompt for prompt in (PROMPT, SHORT, LONG)])
MASK = torch.tensor([[0] * (len(LONG) - len(prompt)) + [1] * len(prompt) for prompt in (PROMPT, SHORT, LONG)])


@pytest.fixture
def generate(llama, cold):
    def call(ids=PADDED, mask=MASK, **options):
        options = {"max_new_tokens": NEW, "do_sample": False, **options}
        if "adapter" in options:
            options = {"custom_generate": cold_generate, "cold": cold, **options}
        return llama.generate(input_ids=ids, attention_mask=mask, **options)

    return call


def alone(cold, *prompts, **options):
    return [result.tokens for result in cold.generate([Request(p, max_new_tokens=NEW, **options) for p in prompts])]


@pytest.mark.parametrize("strength", [{}, dict(alpha=0.3, beta=1.5), dict(alpha=None), dict(beta=0)], ids=str)
def test_tokens_are_those_of_the_loop(cold, generate, strength):
    wanted = alone(cold, PROMPT, SHORT, LONG, adapter="patterned", **strength)
    whole = generate(adapter="patterned", **strength)
    assert whole.dtype == torch.int64 and torch.equal(whole[:, : len(LONG)], PADDED)
    assert whole[:, len(LONG) :].tolist() == wanted
    one = generate(torch.tensor([PROMPT]), None, adapter="patterned", **strength)
    assert one.tolist() == [PROMPT + wanted[0]]


def test_an_expert_for_each_row(cold, generate):
    names = ["head", None, "mlp"]
    wanted = [alone(cold, prompt, adapter=name)[0] for prompt, name in zip((PROMPT, SHORT, LONG), names)]
    for kind in (list, tuple):
        assert generate(adapter=kind(names))[:, len(LONG) :].tolist() == wanted


class Repeats(StoppingCriteria):
    def __call__(self, ids, scores, **kwargs):
        return ids[:, -1] % 5 == 0


PROCESSING = {
    "plain": {},
    "penalty": dict(repetition_penalty=1.8),
    "n-grams": dict(no_repeat_ngram_size=1),
    "minimum": dict(eos_token_id=list(range(100)), min_new_tokens=4),
    "bad words": dict(bad_words_ids=[[token] for token in range(0, 190, 2)], suppress_tokens=[1, 3, 5]),
    "bias": dict(sequence_bias=[[[7], 20.0]]),
    "ends": dict(eos_token_id=list(range(0, VOCABULARY, 4))),
    "ends, padded": dict(eos_token_id=list(range(0, VOCABULARY, 4)), pad_token_id=1),
    "criteria": dict(stopping_criteria=[Repeats()], eos_token_id=VOCABULARY - 1, pad_token_id=0),
    "by row": dict(prefix_allowed_tokens_fn=lambda row, ids: list(range(50 * row, 50 * row + 5))),
    "config": dict(generation_config=GenerationConfig(repetition_penalty=1.3), max_new_tokens=3),
    "length": dict(max_length=len(LONG) + 4, max_new_tokens=None),
}


@pytest.mark.parametrize("options", PROCESSING.values(), ids=PROCESSING)
def test_without_adapter_as_hugging_face(generate, options):
    wanted = generate(**options)
    assert generate(adapter=None, **options).tolist() == wanted.tolist()
    assert not options or not torch.equal(wanted, generate())


@pytest.mark.parametrize("name", ["penalty", "n-grams", "bias"])
def test_processors_change_the_expert(llama, references, generate, name):
    options = PROCESSING[name]
    processors = llama._get_logits_processor(GenerationConfig(num_beams=1, **options), device="cpu")
    wanted = references["head"].greedy(PROMPT, NEW, processors=processors)
    assert generate(torch.tensor([PROMPT]), None, adapter="head", **options).tolist() == [PROMPT + wanted]
    assert wanted != references["head"].greedy(PROMPT, NEW)


SAMPLING = {
    "plain": {},
    "hot": dict(temperature=3.0),
    "all": dict(temperature=2.0, top_k=0),
    "top-k, top-p": dict(temperature=1.5, top_k=9, top_p=0.8),
    "min-p": dict(min_p=0.2),
    "typical": dict(typical_p=0.5, temperature=1.3),
    "epsilon, eta": dict(epsilon_cutoff=0.02, eta_cutoff=0.05),
    "processed": dict(repetition_penalty=1.5, temperature=0.8),
}


@pytest.mark.parametrize("options", SAMPLING.values(), ids=SAMPLING)
def test_draws_without_adapter_as_hugging_face(generate, options):
    """One prompt, for which both draw from one generator in order."""
    for seed in range(3):
        torch.manual_seed(seed)
        wanted = generate(torch.tensor([LONG]), None, do_sample=True, **options)
        drawn = generate(torch.tensor([LONG]), None, adapter=None, alpha=None, seed=seed, do_sample=True, **options)
        assert drawn.tolist() == wanted.tolist()


def test_draws_with_an_expert(cold, generate):
    options = dict(temperature=1.5, top_k=12, top_p=0.95)
    wanted = [
        alone(cold, p, adapter="head", seed=40 + row, **options)[0] for row, p in enumerate((PROMPT, SHORT, LONG))
    ]
    assert generate(adapter="head", seed=40, do_sample=True, **options)[:, len(LONG) :].tolist() == wanted


def test_without_a_seed_draws_follow_torch_s(generate):
    def draw():
        return generate(adapter="head", do_sample=True, temperature=3.0)

    torch.manual_seed(1)
    first, second = draw(), draw()
    torch.manual_seed(1)
    assert torch.equal(draw(), first) and not torch.equal(first, second)


def test_several_draws_of_a_prompt(cold, generate):
    options = dict(adapter=["head", None, "mlp"], seed=3, do_sample=True, temperature=2.0)
    drawn = generate(num_return_sequences=2, **options)
    assert torch.equal(drawn[:, : len(LONG)], PADDED.repeat_interleave(2, 0))
    twice = {"mask": MASK.repeat_interleave(2, 0), "adapter": ["head", "head", None, None, "mlp", "mlp"]}
    assert torch.equal(drawn, generate(PADDED.repeat_interleave(2, 0), **{**options, **twice}))
    assert not torch.equal(drawn[0], drawn[1])


RECORDED = {"greedy": {}, "drawn": SAMPLING["top-k, top-p"] | dict(do_sample=True), "bias": PROCESSING["bias"]}


@pytest.mark.parametrize("options", RECORDED.values(), ids=RECORDED)
def test_a_dictionary_with_scores_and_logits(generate, options):
    options = dict(options, return_dict_in_generate=True, output_scores=True, output_logits=True)
    torch.manual_seed(4)
    wanted = generate(torch.tensor([LONG]), None, **options)
    given = generate(torch.tensor([LONG]), None, adapter=None, alpha=None, seed=4, **options)
    assert torch.equal(given.sequences, wanted.sequences) and type(given) is type(wanted)
    for name in ("scores", "logits"):
        mine, theirs = torch.stack(given[name]), torch.stack(wanted[name])
        torch.testing.assert_close(mine, theirs)
    options = dict(options, adapter=None, seed=1, output_scores=False, output_logits=False)
    alone = generate(**options)
    assert torch.equal(alone.sequences, generate(**{**options, "return_dict_in_generate": False}))
    assert list(alone) == ["sequences"]


def test_scores_are_what_the_tokens_are_chosen_from(references, generate):
    options = dict(return_dict_in_generate=True, output_scores=True, output_logits=True)
    given = generate(adapter="head", alpha=0.2, beta=1.0, **options)
    for row, prompt in enumerate((PROMPT, SHORT, LONG)):
        text = given.sequences[row, len(LONG) - len(prompt) :].tolist()
        for step in range(NEW):
            known = text[: len(prompt) + step]
            torch.testing.assert_close(given.logits[step][row], references["head"].logits(known)[0])
            wanted = references["head"].scores(known, alpha=0.2, beta=1.0)
            torch.testing.assert_close(given.scores[step][row], wanted, atol=1e-4, rtol=1e-4)


class Streamer(list):
    """Empty at first, and so false."""

    def put(self, value):
        self.append(value.tolist())

    def end(self):
        self.append("end")


@pytest.mark.parametrize("name", ["plain", "ends, padded", "criteria"])
def test_a_streamer(generate, name):
    wanted, streamer = Streamer(), Streamer()
    generate(streamer=wanted, **PROCESSING[name])
    generate(adapter=None, streamer=streamer, **PROCESSING[name])
    assert streamer == wanted and len(wanted) > 3


def test_a_streamer_is_given_tokens_as_they_come(llama, generate):
    passes, streamer = [], Streamer()
    handle = llama.register_forward_hook(lambda *_: passes.append(len(streamer)))
    generate(torch.tensor([LONG]), None, adapter="head", streamer=streamer)
    handle.remove()
    assert passes == list(range(1, NEW + 1)) and streamer[-1] == "end"


def test_a_row_without_a_legal_token(generate):
    def bans(ids, scores):
        if ids.shape[1] == len(LONG) + 2:
            scores[1:] = -math.inf
        return scores

    with pytest.raises(RuntimeError, match="row 1: no token is legal after 2 new ones; the processors leave none"):
        generate(adapter="head", logits_processor=[bans])


def test_adapters_of_another_model(generate, folders):
    for other in (ContrastiveLoRA(tiny_model(), folders), None):
        with pytest.raises(ValueError, match="cold holds the adapters of another model"):
            generate(adapter="head", cold=other)
