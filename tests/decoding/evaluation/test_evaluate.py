"""Answers and what they are compared to: kept, the same as decoding gives, and taken up where a run was killed."""

import json

import pytest

pytest.importorskip("rich")
pytest.importorskip("peft")
from decoding import ContrastiveLoRA, Request
from decoding.__main__ import main
from decoding.evaluation.asked import ask, asked, opened
from decoding.evaluation.first_tokens import FLOOR
from decoding.evaluation.problem import read_problems
from decoding.evaluation.summary import summary

METHODS = [(None, 0.0, 0.0), ("mlp", 0.0, 0.0), ("mlp", 0.1, 1.0), ("head", 0.0, 0.0), ("head", 0.3, 2.0)]


@pytest.fixture
def adapters(folders):
    return {name: str(folders[name]) for name in ("mlp", "head")}


@pytest.fixture
def problems(problem_file):
    return read_problems(problem_file)


def decoded(llama, folders, tokenizer, problems, method, new):
    """Each problem decoded by itself."""
    adapter, alpha, beta = method
    cold = ContrastiveLoRA(llama, {name: folders[name] for name in ("mlp", "head")})
    requests = [Request(tokenizer(each.prompt).input_ids, adapter, alpha or 1, beta, new) for each in problems]
    results = [cold.generate([request])[0] for request in requests]
    cold.remove()
    return [tokenizer.decode(result.tokens, skip_special_tokens=True) for result in results]


@pytest.mark.parametrize("new", [1, 4])
def test_answers_are_what_decoding_gives(model_folder, llama, folders, tokenizer, adapters, problems, tmp_path, new):
    answers = asked(opened(str(model_folder), adapters), problems, new, tmp_path, rows=7)
    assert [done for done in ask(answers, METHODS)][-1][0]
    changed = 0
    for method in METHODS:
        found = answers.answers(*method)
        assert [each.text for each in found] == decoded(llama, folders, tokenizer, problems, method, new), method
        changed += sum(len(each.changes) for each in found)
        if not method[2]:
            assert not any(each.changes for each in found)
    assert changed, "contrast chose nothing, so that nothing was compared"


def test_changes_are_told_with_their_probabilities(model_folder, adapters, problems, tmp_path):
    """Of one token and of several alike: the first token is the same one."""
    one = asked(opened(str(model_folder), adapters), problems, 1, tmp_path)
    list(ask(one, METHODS))
    several = asked(opened(str(model_folder), adapters), problems, 2, tmp_path)
    seen = 0
    for short, long in zip(one.answers("head", 0.1, 2.0), several.answers("head", 0.1, 2.0), strict=True):
        firsts = [change for change in long.changes if change.place == 0]
        assert len(short.changes) == len(firsts)
        for mine, other in zip(short.changes, firsts):
            assert (mine.chosen, mine.favourite) == (other.chosen, other.favourite) and mine.chosen != mine.favourite
            for field in ("expert", "base", "favourite_expert"):
                assert getattr(mine, field) == pytest.approx(getattr(other, field), rel=1e-4)
            seen += 1
    assert seen


@pytest.mark.parametrize("new", [1, 3])
def test_a_killed_run_goes_on(model_folder, adapters, problems, tmp_path, new):
    whole = asked(opened(str(model_folder), adapters), problems, new, tmp_path / "whole", rows=3)
    list(ask(whole, METHODS))
    (file,) = (tmp_path / "whole").iterdir()
    killed = tmp_path / "killed" / file.name
    killed.parent.mkdir()
    data = file.read_bytes()
    killed.write_bytes(data[: len(data) // 2])  # within a line
    again = asked(opened(str(model_folder), adapters), problems, new, killed.parent, rows=3)
    steps = list(ask(again, METHODS))
    assert 0 < len(steps) < (len(problems) if new == 1 else len(problems) * len(METHODS))
    assert killed.read_bytes() == data
    third = asked(opened(str(model_folder), adapters), problems, new, killed.parent, rows=3)
    assert not list(ask(third, METHODS)), "nothing is left to ask"


def test_another_adapter_has_another_file(model_folder, folders, problems, tmp_path):
    for name in ("mlp", "head"):
        asked(opened(str(model_folder), {"a": str(folders[name])}), problems, 1, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_alpha_below_what_is_kept(model_folder, adapters, problems, tmp_path):
    answers = asked(opened(str(model_folder), adapters), problems, 1, tmp_path)
    list(ask(answers, []))
    with pytest.raises(ValueError, match="logits are kept for 0.001 and above"):
        answers.answers("mlp", FLOOR / 2, 0.5)


def test_the_summary_counts_what_differs(model_folder, adapters, problems, tmp_path):
    answers = asked(opened(str(model_folder), adapters), problems, 1, tmp_path)
    list(ask(answers, []))
    greedy, cold = answers.answers("head", 0.1, 0.0), answers.answers("head", 0.1, 2.0)
    right = [
        type(problem)(problem.name, problem.prompt, "", (one if place % 3 else other).text)
        for place, (problem, one, other) in enumerate(zip(problems, greedy, cold))
    ]
    parted = [place for place, (one, other) in enumerate(zip(greedy, cold)) if one.text != other.text]
    wins = sum(not place % 3 for place in parted)
    found = summary(right, ["head"], answers, "exact", 0.1, 2.0)
    assert (found.wins, found.losses) == (wins, len(parted) - wins) and parted
    assert found.gain.mean == pytest.approx((2 * wins - len(parted)) / len(problems))
    assert found.gain.low <= found.gain.mean <= found.gain.high
    assert found.adapters[0].changed == len(parted) and found.adapters[0].tokens == len(problems)
    assert [name for name, *_ in found.examples] == [problems[place].name for place in parted]


def evaluated(capsys, command, model_folder, folders, problem_file, out, *more):
    adapters = [f"--adapter={name}={folders[name]}" for name in ("mlp", "head")]
    asks = ["--model", str(model_folder), *adapters, "--file", str(problem_file), "--out", str(out)]
    code = main([command, *asks, *more])
    return code, *capsys.readouterr()


def test_the_commands(model_folder, folders, problem_file, tmp_path, capsys):
    given = (model_folder, folders, problem_file, tmp_path, "--max-new-tokens", "1")
    code, out, err = evaluated(capsys, "evaluate", *given)
    assert code == 0, err
    for words in ("24 problems, 2 adapter(s)", "greedy LoRA", "CoLD alpha=0.1 beta=0.5", "CoLD - greedy", "won"):
        assert words in out
    code, out, err = evaluated(capsys, "evaluate", *given, "--json", "--beta", "1")
    found = json.loads(out)
    assert found["beta"] == 1 and len(found["adapters"]) == 2 and len(list(tmp_path.iterdir())) == 1
    picture = tmp_path / "map.png"
    code, out, err = evaluated(capsys, "tune", *given, "--trials", "70", "--picture", str(picture))
    assert code == 0, err
    assert "settings on 24 problems" in out and picture.read_bytes().startswith(b"\x89PNG")
    code, out, err = evaluated(capsys, "tune", *given, "--trials", "9", "--json")
    found = json.loads(out)
    assert (
        found["best"]["score"] >= found["greedy"] == max(each["score"] for each in found["trials"] if each["beta"] == 0)
    )


@pytest.mark.parametrize(
    "more, complaint",
    [
        (("--beta", "0"), "--beta 0: above 0; 0 is plain LoRA"),
        (("--alpha", "2"), "--alpha 2: above 0 and at most 1"),
        (("--task", "sums"), "give --file FILE.jsonl or --task, one of commonsense"),
        (("--problems", "0"), "--problems 0: a whole number from 1 on"),
        (("--rows", "1"), "--rows 1: a whole number from 3 on"),
        (("--max-new-tokens", "-1"), "--max-new-tokens -1: a whole number from 1 on"),
    ],
)
def test_complaints(model_folder, folders, problem_file, tmp_path, capsys, more, complaint):
    code, _, err = evaluated(capsys, "evaluate", model_folder, folders, problem_file, tmp_path, *more)
    assert code == 2 and complaint in err and len(err.strip().splitlines()) == 1
