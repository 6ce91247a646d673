"""Stories mean what the regime says."""

import numpy as np
import pytest
import torch

from bench.accuracy.stories import AMBIGUOUS, END, FIRST_VERB, World, prompt_length, solved


@pytest.fixture(scope="module")
def world():
    return World.drawn(np.random.default_rng(0))


def walked(world, story, steps):
    """Of each step: the verb, and whether the digit is the task's, by following the story."""
    digit, answer = story[1], story[prompt_length(steps) :]
    for verb, after in zip(answer[0:-1:2] - FIRST_VERB, answer[1:-1:2], strict=True):
        yield verb, after == world.meanings[verb, digit]
        digit = after


def test_verbs_are_permutations_and_other_meanings_differ_everywhere(world):
    for row in (*world.meanings, *world.others):
        assert sorted(row) == list(range(10))
    assert (world.others != world.meanings[:AMBIGUOUS]).all()


def test_a_story_repeats_its_verbs_and_ends(world):
    stories = world.stories(np.random.default_rng(1), 50, 4).numpy()
    assert (stories[:, 2:6] == stories[:, 7:-1:2]).all() and (stories[:, -1] == END).all()


@pytest.mark.parametrize("other", [0.0, 0.5, 1.0])
def test_ambiguous_verbs_alone_have_other_meanings(world, other):
    steps = [
        each for s in world.stories(np.random.default_rng(2), 400, 3, other).numpy() for each in walked(world, s, 3)
    ]
    assert all(right for verb, right in steps if verb >= AMBIGUOUS)
    share = np.mean([not right for verb, right in steps if verb < AMBIGUOUS])
    assert share == pytest.approx(other, abs=0.06)


def test_the_last_digit_before_the_end_counts():
    stories = torch.tensor([[22, 3, 10, 23, 10, 7, END]] * 4)
    answers = torch.tensor([[10, 7, END], [10, 6, END], [7, END, END], [10, 7, 7]])
    assert solved(answers, stories).tolist() == [True, False, True, False]
