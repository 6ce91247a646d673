"""Intervals cover what they should, and resample what they say."""

import numpy as np
import pytest

from decoding.evaluation.intervals import bootstrap, paired


def outcomes(draw, base_spread, adapter_spread, shape=(5, 3, 400)):
    bases, adapters, _ = shape
    chance = 0.5 + base_spread * draw.standard_normal((bases, 1, 1))
    chance = chance + adapter_spread * draw.standard_normal((bases, adapters, 1))
    return (draw.random(shape) < chance)[None]


def test_wins_and_losses():
    greedy, cold = [[1, 1, 0], [0, 0, 1]], [[1, 0, 1], [0, 1, 1]]
    assert paired(greedy, cold) == (2, 1, 2, 1)
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        paired([0, 1], [0, 1, 1])


def test_problems_alone_give_the_textbook_interval():
    solved = np.random.default_rng(0).random((1, 1, 1, 2000)) < 0.3
    (found,) = bootstrap(solved, shared=False, resamples=4000)
    error = 1.96 * solved.std() / 2000**0.5
    assert found.mean == pytest.approx(solved.mean())
    assert found.high - found.low == pytest.approx(2 * error, rel=0.06)


@pytest.mark.parametrize("spreads", [(0.1, 0.0), (0.0, 0.1)])
def test_bases_and_adapters_widen_it(spreads):
    draw = np.random.default_rng(1)
    plain, spread = (bootstrap(outcomes(draw, *each), shared=False)[0] for each in ((0.0, 0.0), spreads))
    assert spread.high - spread.low > 2 * (plain.high - plain.low)


def test_nine_of_ten_intervals_at_least_cover_the_truth_with_many_bases():
    draw = np.random.default_rng(2)
    found = [bootstrap(outcomes(draw, 0.05, 0.05, (12, 3, 100)), shared=False, resamples=300)[0] for _ in range(60)]
    assert sum(each.low <= 0.5 <= each.high for each in found) >= 54


def test_shared_problems_are_drawn_together():
    hard = np.random.default_rng(3).random(300) < 0.5
    values = np.broadcast_to(hard, (1, 1, 6, 300))  # all adapters solve the same problems
    together, apart = (bootstrap(values, shared)[0] for shared in (True, False))
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_measures_keep_their_pairing():
    solved = np.random.default_rng(4).random((5, 3, 200)) < 0.5
    first, second, difference = bootstrap(np.stack([solved, solved, 0 * solved]), shared=False)
    assert first == second
    assert difference == (0, 0, 0)


def test_a_seed_gives_the_same_interval():
    values = np.random.default_rng(5).random((1, 2, 2, 50))
    assert bootstrap(values, False, seed=7) == bootstrap(values, False, seed=7)
    assert bootstrap(values, False, seed=7) != bootstrap(values, False, seed=8)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.ones((3, 4)), {}, r"values are \(3, 4\); give \[measures"),
        (np.ones((1, 1, 0, 4)), {}, "none of them 0"),
        (np.ones((1, 1, 1, 4)), {"resamples": 0}, "0 resamples"),
        (np.ones((1, 1, 1, 4)), {"level": 1.0}, "at level 1.0"),
    ],
)
def test_what_cannot_be_averaged_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(values, False, **options)
