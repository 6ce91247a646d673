"""The model of the times: what it expects of configurations that were not tried."""

import itertools
import math

import pytest

from cold_kernels.record import Record
from tuner.search.domain import Domain
from tuner.search.surrogate import Surrogate

VALUES = {"A": tuple(range(10)), "B": tuple(range(8)), "ONE": (7,), "WORD": ("x", "y", "z")}
LEGAL = tuple(Record(dict(zip(VALUES, each, strict=True))) for each in itertools.product(*VALUES.values()))
DOMAIN = Domain(VALUES, LEGAL, LEGAL[0])


def time_of(point):
    a, b, _, word = point
    return 5 + (a - 6) ** 2 + 0.1 * (b - 3) ** 2 + (3, 0, 7)[word]


def learned(points, time_of=time_of):
    surrogate = Surrogate(DOMAIN)
    surrogate.learn({point: time_of(point) for point in points})
    return surrogate


def free_of(points):
    return [point for point in sorted(DOMAIN.points) if point not in points]


def test_finds_the_optimum_of_a_smooth_space_in_a_tenth_of_it():
    tried = sorted(DOMAIN.points)[::24]
    while len(tried) < 24:
        tried.append(learned(tried).best_of(free_of(tried), []))
    assert min(map(time_of, tried)) == 5
    assert (6, 3, 0, 1) in tried


def test_what_runs_already_is_not_proposed_beside_it():
    tried = sorted(DOMAIN.points)[::24]
    surrogate = learned(tried)
    first = surrogate.best_of(free_of(tried), [])
    free = free_of([*tried, first])
    # Not told what runs it takes the next best of the same kind; told, it looks elsewhere.
    near, apart = surrogate.best_of(free, []), surrogate.best_of(free, [first])
    assert first not in (near, apart)
    assert math.dist(near, first) <= math.dist(apart, first)


def test_order_and_portions_of_what_it_learned_do_not_matter():
    points = sorted(DOMAIN.points)[::17]
    at_once = learned(points)
    in_portions = Surrogate(DOMAIN)
    for count in (5, 9, len(points)):
        in_portions.learn({point: time_of(point) for point in reversed(points[:count])})
    free = free_of(points)
    assert at_once.best_of(free, []) == in_portions.best_of(free, [])


def test_equals_are_decided_by_order():
    flat = learned(sorted(DOMAIN.points)[:8], lambda point: 5.0)
    free = free_of(sorted(DOMAIN.points)[:8])
    assert flat.best_of(free, []) == flat.best_of(free, [])


def test_failures_are_kept_away_from():
    tried = sorted(DOMAIN.points)[::11]
    surrogate = learned(tried, lambda point: None if point[0] >= 5 else 20 - 3 * point[0])
    assert surrogate.ready
    assert surrogate.best_of(free_of(tried), [])[0] <= 5


def test_nothing_usable_teaches_nothing():
    assert not learned([(0, 0, 0, 0), (1, 1, 0, 1)], lambda point: None).ready


def test_the_first_ones_are_spread():
    surrogate = Surrogate(DOMAIN)
    assert surrogate.spread_from([(1, 0, 0, 0), (9, 7, 0, 0), (5, 5, 0, 0)], [(0, 0, 0, 0)]) == (9, 7, 0, 0)


@pytest.mark.parametrize("scale", (1e-3, 1.0, 1e6))
def test_the_unit_of_time_does_not_matter(scale):
    tried = sorted(DOMAIN.points)[::13]
    free = free_of(tried)
    expected = learned(tried).best_of(free, [])
    assert learned(tried, lambda point: scale * time_of(point)).best_of(free, []) == expected
