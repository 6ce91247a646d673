"""The study of a real model, on a tiny one: all parts run, a killed study goes on, and its page shows its outcomes."""

import gzip
import json

import pytest

for needed in ("peft", "optuna", "rich"):
    pytest.importorskip(needed)
import bench.accuracy.real_model as real_model
from bench.__main__ import main
from bench.accuracy import page
from bench.accuracy.real_model_page import markdown
from bench.pages import ROOT, generated
from cold_kernels import command

from ...decoding.tiny import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "</s>": 1} | {str(number): number for number in range(2, 199)}
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("model")
    tiny_model(max_position_embeddings=256).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=whole, eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    return folder


def study(model, folder, *more):
    given = [
        "accuracy",
        "real-model",
        "--model",
        str(model),
        "--tasks",
        "sums",
        "--seeds",
        "2",
        "--quick",
        "--folder",
        str(folder),
    ]
    return main([*given, "--no-bf16", *more])


def test_a_study_from_end_to_end(model, tmp_path, capsys):
    out = tmp_path / "out.json.gz"
    runs = 0
    while study(model, tmp_path / "study", "--minutes", "0.0001", "--out", str(out)) == command.FOUND:
        assert not out.exists()
        runs += 1
        assert runs < 40
    assert runs > 3
    printed = capsys.readouterr().out
    assert printed.count("seed 0 is trained") == 2, "told once, and once more as what the time was up after"
    outcome = json.loads(gzip.decompress(out.read_bytes()))
    found = outcome["tasks"]["sums"]
    assert len(found["fixed"]["adapters"]) == 2 and found["fixed"]["problems"] == real_model.QUICK["test"]
    assert "sums" not in outcome["not_run"] and "gsm" in outcome["not_run"]
    shown = markdown(outcome)
    assert "| sums | 2 x 10 | number |" in shown and "Not run: commonsense" in shown
    assert shown in printed
    assert study(model, tmp_path / "study") == 0
    assert "test," not in capsys.readouterr().out, "what is done is not done again"


def test_other_steps_are_other_adapters(model, tmp_path, capsys):
    study(model, tmp_path, "--minutes", "0.0001")
    study(model, tmp_path, "--minutes", "0.0001", "--steps", "2")
    assert len([each for each in (tmp_path / "quick" / "sums").iterdir() if "steps" in each.name]) == 2


def test_rules_are_compared_with_greedy(tmp_path):
    """Where the two models agree on every token, no rule gains or loses; where all weight is 0, neither."""
    import torch

    from decoding.evaluation.answer import Answer
    from decoding.evaluation.problem import Problem

    class Kept:
        expert = torch.tensor([[2.0, 1.9, -torch.inf], [3.0, 0.0, 0.0]])
        amateur = torch.tensor([[4.0, 0.0, 0.0], [3.0, 0.0, 0.0]])

        def logits(self, name):
            return torch.tensor([[5, 6, -1], [7, 8, 9]]), self.expert, self.amateur

        def answers(self, name, alpha, beta):
            return [Answer(str(token), 1) for token in (5, 7)]

        def text(self, token):
            return str(token)

    problems = [Problem("a", "", "", "6"), Problem("b", "", "", "7")]
    found = real_model._rules(Kept(), problems, ["x"], "exact")
    assert {each["rule"]: (each["wins"], each["losses"]) for each in found}["confidence below 0.5, 0.5"] == (0, 0)
    assert any(each["wins"] == 1 and each["gain"]["mean"] == 0.5 for each in found)
    assert all(each["losses"] == 0 for each in found)


def test_wrong_numbers(model, tmp_path, capsys):
    assert study(model, tmp_path, "--problems", "0") == 2
    assert "--problems 0: a whole number from 1 on" in capsys.readouterr().err


def test_the_page_has_figures_only_of_accepted_outcomes():
    commands = [each.command for each in generated(ROOT / "docs" / "accuracy.md")]
    shown = any(command.endswith("accuracy page real-model") for command in commands)
    assert shown == (page.ACCEPTED / "real-model.json.gz").exists()
