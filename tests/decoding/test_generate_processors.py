"""Processors and criteria that a caller gives ``generate``: which act, on what, in which order, and what they see."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("peft")
from transformers import (
    LogitsProcessorList,
    MaxLengthCriteria,
    MaxTimeCriteria,
    StoppingCriteria,
    SynthIDTextWatermarkingConfig,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    WatermarkingConfig,
)
from transformers.generation.stopping_criteria import EosTokenCriteria

from decoding import Request, cold_generate
from decoding.requests.choice import Chooser
from decoding.requests.together import Together

from .tiny import VOCABULARY, prompts

PROMPT, SHORT, LONG = ROWS = prompts(6, 3, 9, seed=7)
NEW, LENGTH = 7, 9
PADDED = torch.tensor([[0] * (LENGTH - len(prompt)) + prompt for prompt in ROWS])
MASK = torch.tensor([[0] * (LENGTH - len(prompt)) + [1] * len(prompt) for prompt in ROWS])
ENDS = dict(eos_token_id=list(range(0, VOCABULARY, 4)), pad_token_id=1)


@pytest.fixture
def generate(llama, cold):
    def call(*prompt, **options):
        inputs = dict(input_ids=torch.tensor(prompt)) if prompt else dict(input_ids=PADDED, attention_mask=MASK)
        if "adapter" in options:
            options.update(custom_generate=cold_generate, cold=cold)
        return llama.generate(**inputs, **{"max_new_tokens": NEW, "do_sample": False, **options})

    return call


class KeepTwo(TopKLogitsWarper):
    """Of a subclass, with other behaviour."""

    def __call__(self, ids, scores):
        return super().__call__(ids, scores.roll(1, -1)).roll(-1, -1)


class BanWarper:
    """By its name alone a warper."""

    def __call__(self, ids, scores):
        return scores.masked_fill(torch.arange(VOCABULARY) % 3 > 0, -math.inf)


WARPERS = {
    "temperature": lambda: [TemperatureLogitsWarper(9.0)],
    "a cold one": lambda: [TemperatureLogitsWarper(0.2)],
    "top-k": lambda: [TopKLogitsWarper(2)],
    "top-p": lambda: [TopPLogitsWarper(0.5)],
    "a subclass": lambda: [KeepTwo(2)],
    "a name": lambda: [BanWarper()],
    "several": lambda: [BanWarper(), TemperatureLogitsWarper(4.0), TopKLogitsWarper(9)],
}


@pytest.mark.parametrize("make", WARPERS.values(), ids=WARPERS)
@pytest.mark.parametrize("options", [{}, dict(temperature=3.0, top_k=0), dict(temperature=3.0, top_p=0.9)], ids=str)
def test_a_caller_s_warpers_act_in_a_draw_as_in_generate(generate, make, options):
    options = dict(options, do_sample=True, max_new_tokens=4)
    for seed in range(3):
        torch.manual_seed(seed)
        wanted = generate(LONG, logits_processor=LogitsProcessorList(make()), **options)
        drawn = generate(LONG, logits_processor=make(), adapter=None, alpha=None, seed=seed, **options)
        assert torch.equal(drawn, wanted)


@pytest.mark.parametrize("name", ["temperature", "a cold one", "a name", "several"])
def test_a_caller_s_warpers_change_the_expert(generate, references, name):
    """Also without a draw: a temperature widens or narrows the mask and the contrast."""
    options = dict(alpha=0.3, beta=1.0)
    wanted = references["head"].greedy(LONG, NEW, processors=WARPERS[name](), **options)
    given = generate(LONG, adapter="head", logits_processor=WARPERS[name](), **options)
    assert given.tolist() == [LONG + wanted]
    assert wanted != references["head"].greedy(LONG, NEW, **options)


def test_options_warp_the_contrastive_score_behind_them(cold, generate):
    draw = dict(temperature=1.5, top_k=12, top_p=0.95)
    wanted = [
        cold.generate([Request(p, "head", seed=8 + row, max_new_tokens=NEW, logits_processor=[BanWarper()], **draw)])
        for row, p in enumerate(ROWS)
    ]
    given = generate(adapter="head", seed=8, do_sample=True, logits_processor=[BanWarper()], **draw)
    assert given[:, LENGTH:].tolist() == [result.tokens for (result,) in wanted]


class Watcher:
    """What was seen; changes little, by how often it has been called."""

    def __init__(self):
        self.ids, self.scores = [], []

    def __call__(self, ids, scores):
        self.ids.append(ids.tolist())
        self.scores.append(scores.clone())
        scores[:, 7 * len(self.ids)] += 20.0
        return scores


@pytest.mark.parametrize("ends", [{}, ENDS], ids=["no end", "ends"])
def test_processors_are_called_once_a_step_for_the_whole_batch(generate, ends):
    theirs, mine = Watcher(), Watcher()
    wanted = generate(logits_processor=LogitsProcessorList([theirs]), **ends)
    assert torch.equal(generate(logits_processor=[mine], adapter=None, **ends), wanted)
    assert mine.ids == theirs.ids
    done = torch.zeros(3, dtype=torch.bool)
    for step, (seen, other) in enumerate(zip(mine.scores, theirs.scores, strict=True)):
        torch.testing.assert_close(seen[~done], other[~done])
        if ends:
            done |= torch.isin(wanted[:, LENGTH + step], torch.tensor(ENDS["eos_token_id"]))
    assert bool(ends) == bool(done.any())


def test_they_act_on_experts_with_their_rows(generate, cold):
    """Rows with experts of their own, one of them done before the others."""
    names = ["head", None, "mlp"]
    given = generate(adapter=names, logits_processor=[Watcher()], **ENDS)
    for row, (prompt, name) in enumerate(zip(ROWS, names)):
        request = Request(
            prompt, name, max_new_tokens=NEW, logits_processor=[Watcher()], **{"eos_token_id": ENDS["eos_token_id"]}
        )
        tokens = cold.generate([request])[0].tokens
        assert given[row, LENGTH:].tolist() == (tokens + [1] * NEW)[: given.shape[1] - LENGTH]


WATERMARKS = {
    "lists": WatermarkingConfig(bias=6.0, seeding_scheme="selfhash"),
    "tournament": SynthIDTextWatermarkingConfig(keys=[3, 5, 11], ngram_len=2),
}


@pytest.mark.parametrize("mark", WATERMARKS.values(), ids=WATERMARKS)
@pytest.mark.parametrize("options", [{}, dict(do_sample=True, temperature=0.7), ENDS], ids=str)
def test_watermarks(generate, mark, options):
    """Behind the temperature, and called for the whole batch: one has a state."""
    rows = () if "do_sample" not in options else (LONG,)
    torch.manual_seed(3)
    wanted = generate(*rows, watermarking_config=mark, **options)
    given = generate(*rows, watermarking_config=mark, adapter=None, alpha=None, seed=3, **options)
    assert torch.equal(given, wanted)
    torch.manual_seed(3)
    assert mark is not WATERMARKS["lists"] or not torch.equal(wanted, generate(*rows, **options))


def test_a_watermark_changes_the_contrastive_score(llama, references, generate):
    mark = WATERMARKS["lists"]
    processor = mark.construct_processor(VOCABULARY, "cpu")
    ids = list(LONG)
    for _ in range(NEW):
        ids.append(int(processor(torch.tensor([ids]), references["head"].scores(ids, alpha=0.01)[None])[0].argmax()))
    assert generate(LONG, adapter="head", alpha=0.01, watermarking_config=mark).tolist() == [ids]


@pytest.mark.parametrize("options", [{}, ENDS, dict(do_sample=True)], ids=str)
@pytest.mark.parametrize("negative", [{}, dict(negative_prompt_ids=torch.tensor([SHORT] * 3))], ids=["own", "negative"])
def test_guidance_of_the_base_model(generate, options, negative):
    rows = (LONG,) if "do_sample" in options else ()
    if rows and negative:
        negative = dict(negative_prompt_ids=torch.tensor([SHORT]))
    torch.manual_seed(3)
    wanted = generate(*rows, guidance_scale=2.5, **negative, **options)
    given = generate(*rows, guidance_scale=2.5, adapter=None, alpha=None, seed=3, **negative, **options)
    assert torch.equal(given, wanted)


BOTH = {
    "penalty": dict(repetition_penalty=1.6),
    "min-p": dict(do_sample=True, min_p=0.1),
    "top-h": dict(do_sample=True, top_h=0.6, top_k=0),
    "normalised": dict(renormalize_logits=True, do_sample=True, temperature=2.0),
}


@pytest.mark.parametrize("options", BOTH.values(), ids=BOTH)
def test_options_and_a_caller_s_own_together(generate, options):
    for seed in range(2):
        torch.manual_seed(seed)
        wanted = generate(LONG, logits_processor=LogitsProcessorList([TopKLogitsWarper(5), Watcher()]), **options)
        own = [TopKLogitsWarper(5), Watcher()]
        given = generate(LONG, logits_processor=own, adapter=None, alpha=None, seed=seed, **options)
        assert torch.equal(given, wanted)


def test_a_batch_takes_its_steps_together(cold):
    together = Together(torch.tensor([PROMPT]))
    requests = [Request(PROMPT, together=together), Request(PROMPT)]
    assert Chooser(requests[:1]).lockstep and not Chooser(requests[1:]).lockstep
    for mixed in (requests, requests[::-1], requests[:1] * 2):
        with pytest.raises(ValueError, match="together belongs to other requests; all requests of a batch are given"):
            cold.generate(mixed)


class Notes(StoppingCriteria):
    """Stops rows whose last token is a multiple, and notes what it saw."""

    def __init__(self, multiple):
        self.multiple, self.seen = multiple, []

    def __call__(self, ids, scores, **kwargs):
        self.seen.append((ids.tolist(), None if scores is None else len(scores)))
        return ids[:, -1] % self.multiple == 0


class Ends(EosTokenCriteria):
    """Of a subclass, with other behaviour."""

    def __call__(self, ids, scores, **kwargs):
        return super().__call__(ids, scores) & (ids.shape[1] > LENGTH + 2)


CRITERIA = {
    "rows": (lambda: [Notes(3)], dict(eos_token_id=VOCABULARY - 1, pad_token_id=2)),
    "rows that go on": (lambda: [Notes(3)], {}),
    "with scores": (lambda: [Notes(3)], dict(return_dict_in_generate=True, output_scores=True, pad_token_id=0)),
    "a length": (lambda: [MaxLengthCriteria(LENGTH + 3)], {}),
    "a longer one than the option's": (lambda: [MaxLengthCriteria(LENGTH + 12)], {}),
    "a length that is reached": (lambda: [MaxLengthCriteria(4)], {}),
    "ends": (lambda: [EosTokenCriteria(list(range(0, VOCABULARY, 3)))], ENDS),
    "a subclass": (lambda: [Ends(list(range(0, VOCABULARY, 3)))], ENDS),
    "no time": (lambda: [MaxTimeCriteria(0.0, 0.0)], {}),
    "one for all": (lambda: [lambda ids, scores: ids.shape[1] > LENGTH + 1], ENDS),
}


@pytest.mark.parametrize("make, options", CRITERIA.values(), ids=CRITERIA)
def test_criteria(generate, make, options):
    theirs, mine = make(), make()
    wanted = generate(stopping_criteria=theirs, **options)
    given = generate(stopping_criteria=mine, adapter=None, **options)
    if options.get("return_dict_in_generate"):
        wanted, given = wanted.sequences, given.sequences
    assert torch.equal(given, wanted)
    assert getattr(mine[0], "seen", None) == getattr(theirs[0], "seen", None)
    assert not torch.equal(wanted, generate(**{**options, "return_dict_in_generate": False}))


def test_a_row_that_a_criterion_ends_leaves_the_others_alone(cold, generate):
    options = dict(eos_token_id=VOCABULARY - 1, pad_token_id=2)
    given = generate(adapter="head", stopping_criteria=[Notes(3)], **options)
    wanted = cold.generate(
        [Request(prompt, "head", max_new_tokens=NEW, stopping_criteria=[Notes(3)]) for prompt in ROWS]
    )
    assert len({len(result.tokens) for result in wanted}) > 1
    for row, result in enumerate(wanted):
        assert given[row, LENGTH:].tolist() == (result.tokens + [2] * NEW)[: given.shape[1] - LENGTH]


def test_a_criterion_that_answers_for_other_rows(generate):
    with pytest.raises(ValueError, match=r"stopping_criteria gave \[3, 3\] values for 3 rows; one for each"):
        generate(adapter="head", stopping_criteria=[lambda ids, scores: ids[:, -1:] < 0])


KINDS = {
    "NumPy's": lambda end: dict(eos_token_id=np.int64(end)),
    "torch's": lambda end: dict(eos_token_id=torch.tensor(end)),
    "a tensor": lambda end: dict(eos_token_id=torch.tensor([VOCABULARY - 1, end])),
    "a list": lambda end: dict(eos_token_id=[end, VOCABULARY + 5]),
    "none": lambda end: dict(eos_token_id=None),
    "none that the model knows": lambda end: dict(eos_token_id=VOCABULARY + 5),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kinds_of_ends(generate, kind):
    end = int(generate()[1, LENGTH + 2])
    wanted = generate(**kind(end))
    assert torch.equal(generate(adapter=None, **kind(end)), wanted)


@pytest.mark.parametrize("options", [dict(temperature=None), dict(top_k=None), dict(top_p=None, top_k=0)], ids=str)
def test_none_of_a_draw(generate, options):
    for seed in range(2):
        torch.manual_seed(seed)
        wanted = generate(LONG, do_sample=True, **options)
        given = generate(LONG, do_sample=True, adapter=None, alpha=None, seed=seed, **options)
        assert torch.equal(given, wanted)


def test_no_length(generate):
    """As in ``generate``, 20 new tokens."""
    given = generate(adapter=None, max_new_tokens=None)
    assert torch.equal(given, generate(max_new_tokens=None)) and given.shape[1] == LENGTH + 20
