"""When a time counts as slower."""

import itertools
import math
import random
import time

import pytest

from bench.timing.rank_test import greater
from bench.timing.side_by_side import Times, side_by_side
from bench.timing.wall_clock import CHANCE, LEAST_ROUNDS, Measured, change


def measured(*ratios, seconds=1e-3):
    return Measured(seconds, {"loop": seconds}, "loop", ratios, min(ratios))


def spread(middle, rounds=10, width=0.02):
    return [middle * (1 + width * (place / (rounds - 1) - 0.5)) for place in range(rounds)]


def by_counting(one, other):
    """The same probability, from every way to deal the numbers."""
    wins = sum(a > b for a in one for b in other)
    places = range(len(one) + len(other))
    dealt = [
        sum(a > b for a in some for b in set(places) - set(some)) for some in itertools.combinations(places, len(one))
    ]
    return sum(each >= wins for each in dealt) / len(dealt)


@pytest.mark.parametrize("seed", range(20))
def test_the_rank_test_is_exact(seed):
    draw = random.Random(seed)
    one = [draw.random() + 0.2 for _ in range(draw.randint(1, 6))]
    other = [draw.random() for _ in range(draw.randint(1, 6))]
    assert greater(one, other) == pytest.approx(by_counting(one, other))


def test_the_rank_test_in_numbers():
    assert greater([4, 5, 6], [1, 2, 3]) == 1 / math.comb(6, 3)
    assert greater([1, 2, 3], [4, 5, 6]) == 1
    assert greater([1, 1, 1], [1, 1, 1]) == 1  # ties never speak for a difference


def test_false_alarms_are_as_rare_as_said():
    draw = random.Random(0)

    def rounds():
        return [draw.lognormvariate(0, 0.3) for _ in range(10)]

    assert sum(greater(rounds(), rounds()) < 0.1 for _ in range(2000)) == pytest.approx(200, abs=60)


def test_the_least_rounds_can_tell():
    few, fewer = [range(1, n + 1) for n in (LEAST_ROUNDS, LEAST_ROUNDS - 1)]
    assert greater([10 + x for x in few], few) < CHANCE <= greater([10 + x for x in fewer], fewer)


def test_slower_takes_factor_seconds_and_chance():
    before = measured(*spread(1.0))
    assert change(before, measured(*spread(1.3))).slower
    assert not change(before, measured(*spread(1.24))).slower
    assert not change(before, measured(*spread(0.5))).slower
    assert not change(before, measured(*spread(1.3), seconds=1e-4)).slower  # 30 us
    unsure = Measured(1e-3, {"loop": 1e-3}, "loop", (*spread(1.3)[:5], *spread(0.99)[:4], 1.3), 1.3)
    assert change(before, unsure).factor >= 1.25 and not change(before, unsure).slower


def test_a_machine_that_is_disturbed_is_not_slower():
    """Its fastest round says so: of a real change that is slower too."""
    before, disturbed = measured(*spread(1.0)), Measured(1e-3, {"loop": 1e-3}, "loop", tuple(spread(2.0)), 1.05)
    assert change(before, disturbed).chance < CHANCE and not change(before, disturbed).slower


def test_a_machine_that_is_slower_as_a_whole_changes_nothing():
    before, after = measured(*spread(1.0), seconds=1e-3), measured(*spread(1.01), seconds=5e-3)
    assert not change(before, after).slower


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="accepted beside 'loop', timed beside 'einsum'"):
        change(measured(*spread(1)), Measured(1, {"einsum": 1}, "einsum", tuple(spread(1)), 1))
    with pytest.raises(ValueError, match="10 and 5 rounds; it takes 6 of each"):
        change(measured(*spread(1)), measured(*spread(1, rounds=5)))


def test_ratios_are_of_the_same_round():
    times = Times((2.0, 8.0, 3.0), {"loop": (1.0, 4.0, 1.0), "other": (9.0, 9.0, 0.5)})
    assert times.ratios == (2.0, 2.0, 3.0)
    assert times.fastest == 2.0
    assert (times.median, times.medians, times.reference, times.best) == (3.0, {"loop": 1, "other": 9}, "loop", "loop")


def test_functions_take_turns():
    seen = []
    names = {name: lambda name=name: seen.append(name) for name in "ab"}
    times = side_by_side(lambda: seen.append("ours"), names, rounds=9, calls=2, finish=lambda: seen.append("|"))
    assert len(times.ours) == len(times.ratios) == 9
    assert seen[2::3] == ["|"] * 27 and seen[0::3] == seen[1::3]
    rounds = [tuple(seen[place : place + 9 : 3]) for place in range(0, 81, 9)]
    assert all(sorted(each) == ["a", "b", "ours"] for each in rounds)
    assert len({each[0] for each in rounds}) == 3  # nobody is always first


def test_each_is_timed_for_as_long():
    calls = dict.fromkeys(["ours", "slow"], 0)

    def take(name, seconds):
        calls[name] += 1
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    side_by_side(lambda: take("ours", 1e-4), {"slow": lambda: take("slow", 5e-3)}, rounds=4)
    assert calls["slow"] == 4 + 4
    assert calls["ours"] > 4 + 4 * 10
