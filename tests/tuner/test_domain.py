"""Which configurations are neighbours."""

import itertools

from cold_kernels.record import Record
from tuner.search.domain import Domain

VALUES = {"TILE": (64, 128, 256), "SCHEME": ("apart", "fused", "other"), "AUTO": (True, False)}


def domain_of(allowed=lambda config: True):
    every = (Record(dict(zip(VALUES, each, strict=True))) for each in itertools.product(*VALUES.values()))
    legal = tuple(config for config in every if allowed(config))
    return Domain(VALUES, legal, legal[0])


def test_numbers_go_a_step_and_words_anywhere():
    domain = domain_of()
    assert domain.ordered == (True, False, False)
    assert set(domain.neighbours((0, 0, 0))) == {(1, 0, 0), (0, 1, 0), (0, 2, 0), (0, 0, 1)}
    assert set(domain.neighbours((1, 1, 1))) == {(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0)}


def test_a_step_passes_over_what_is_illegal():
    domain = domain_of(lambda config: config.TILE != 128)
    assert set(domain.neighbours((0, 0, 0))) == {(2, 0, 0), (0, 1, 0), (0, 2, 0), (0, 0, 1)}


def test_points_and_configurations_are_the_same_thing_twice():
    domain = domain_of()
    assert len(domain.points) == 18
    assert all(domain.point(config) == point for point, config in domain.points.items())
