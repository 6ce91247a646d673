"""lm-evaluation-harness with a model that decodes by CoLD: its own evaluation, offline, and what each answer is."""

import json

import pytest

lm_eval = pytest.importorskip("lm_eval")

from decoding import ContrastiveLoRA, Request
from decoding.evaluation.harness import ColdLM

PROMPTS = ["7 8 9", "20 30", "101 5 66 3", "40 41 42 43 44"]


@pytest.fixture
def models(llama, tokenizer, folders):
    def make(**options):
        return ColdLM((llama, tokenizer), **{"adapter": folders["head"], "alpha": 0.1, "beta": 1.0, **options})

    return make


@pytest.fixture
def reference(llama, folders):
    from ..tiny import Reference

    return Reference(llama, folders["head"])


class Asked:
    """As much of an instance of the harness as a model sees."""

    def __init__(self, *args):
        self.args = args


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_likelihoods_are_of_the_contrastive_scores(models, reference, tokenizer, beta):
    texts = [" 55 6", " 17", " 1 1", " 198 0 3"]
    found = models(beta=beta, batch_size=3).loglikelihood([Asked(*each) for each in zip(PROMPTS, texts)], True)
    for prompt, text, (told, _) in zip(PROMPTS, texts, found, strict=True):
        ids, wanted = tokenizer(prompt).input_ids, tokenizer(text).input_ids
        total = 0.0
        for token in wanted:
            total += reference.scores(ids, alpha=None, beta=beta).log_softmax(0)[token].item()
            ids = [*ids, token]
        assert told == pytest.approx(total, abs=2e-3)


def test_the_greedy_text_is_told(models, llama, folders, tokenizer):
    cold = ContrastiveLoRA(llama, {"e": folders["head"]})
    ids = tokenizer(PROMPTS[0]).input_ids
    (result,) = cold.generate([Request(ids, "e", 0.1, 1.0, 3, eos_token_id=())])
    cold.remove()
    right = " " + tokenizer.decode(result.tokens)
    wrong = " " + tokenizer.decode([*result.tokens[:2], (result.tokens[2] + 1) % 199])
    found = models().loglikelihood([Asked(PROMPTS[0], right), Asked(PROMPTS[0], wrong)], True)
    assert [greedy for _, greedy in found] == [True, False]


def test_texts_end_where_the_task_says(models):
    whole = models().generate_until([Asked(prompt, {"max_gen_toks": 9}) for prompt in PROMPTS], True)
    for prompt, text in zip(PROMPTS, whole, strict=True):
        words = text.split()
        if len(words) > 2:
            (cut,) = models().generate_until([Asked(prompt, {"until": [f" {words[2]}"], "max_gen_toks": 9})], True)
            assert text.startswith(cut) and f" {words[2]}" not in cut
    assert any(len(text.split()) > 2 for text in whole)


def test_what_is_not_honoured_is_refused(models):
    with pytest.raises(ValueError, match="generation argument 'num_beams' is not honoured"):
        models().generate_until([Asked("1", {"num_beams": 4})], True)
    with pytest.raises(NotImplementedError, match="perplexity"):
        models().loglikelihood_rolling([Asked("1 2")])


def test_a_task_of_the_harness(models, llama, folders, tokenizer, tmp_path):
    """Answers that CoLD gives, and greedy does not, are right: the harness counts them."""
    from lm_eval.tasks import TaskManager

    cold = ContrastiveLoRA(llama, {"e": folders["head"]})
    requests = [Request(tokenizer(prompt).input_ids, "e", 0.1, 1.0, 3) for prompt in PROMPTS]
    told = [tokenizer.decode(each.tokens, skip_special_tokens=True) for each in cold.generate(requests)]
    cold.remove()
    lines = [json.dumps({"prompt": prompt, "answer": text}) for prompt, text in zip(PROMPTS, told)]
    lines.append(json.dumps({"prompt": "3 3 3", "answer": "not this"}))
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    (tmp_path / "tiny.yaml").write_text(
        f"""task: tiny_cold
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path}/data.jsonl}}, cache_dir: {tmp_path}/cache}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], max_gen_toks: 3, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
    )
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    found = lm_eval.simple_evaluate(model=models(), tasks=["tiny_cold"], task_manager=manager, bootstrap_iters=0)
    assert found["results"]["tiny_cold"]["exact_match,none"] == pytest.approx(0.8)
