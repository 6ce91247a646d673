import math

import pytest

from cold_kernels.bgmv.shrink import bgmv_shrink
from cold_kernels.cases import Case
from cold_kernels.record import Record
from tuner.search.group import groups
from tuner.search.winner import Contender, contenders, judge, wins, worst_regret

CASES = [Case.parse(text, bgmv_shrink) for text in ("T=8", "T=32")]
SMALL, LARGE = map(str, CASES)
(GROUP,) = groups(bgmv_shrink, CASES)
DEFAULT = GROUP.default
CHIPS = 32


def config(**changes):
    return Record({**DEFAULT, **changes})


RELATIVE = config(DEPTH=3)
OTHER = config(TILE_H=1024)


def judged(chosen, small, large, default=10.0):
    """The verdict on ``chosen`` for both cases, with its times on the chips relative to the default's 10."""
    flat = {SMALL: [default] * CHIPS, LARGE: [default] * CHIPS}
    mine = {SMALL: list(small), LARGE: list(large)}
    return judge(GROUP, Contender(dict.fromkeys((SMALL, LARGE), chosen), 1.0), flat, mine)


def mixed(winning, won=9.0, lost=10.1):
    return [won] * winning + [lost] * (CHIPS - winning)


def test_the_free_tunables_are_chosen_case_by_case():
    times = {
        DEFAULT: {SMALL: 10.0, LARGE: 20.0},
        RELATIVE: {SMALL: 12.0, LARGE: 15.0},
        OTHER: {SMALL: 30.0, LARGE: 30.0},
    }
    first, second = contenders(GROUP, times)
    assert first.configs == {SMALL: DEFAULT, LARGE: RELATIVE}
    assert first.us == pytest.approx(math.sqrt(150))
    assert second.configs == {SMALL: OTHER, LARGE: OTHER}


def test_the_shared_tunables_are_shared():
    times = {
        DEFAULT: {SMALL: 10.0, LARGE: 20.0},
        OTHER: {SMALL: 20.0, LARGE: 10.0},
    }
    for contender in contenders(GROUP, times):
        assert len({GROUP.shaping(config) for config in contender.configs.values()}) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_ties_go_to_the_default_and_then_by_the_order_of_the_space(order):
    smaller, larger = config(TILE_H=512), config(TILE_H=1024)
    times = {larger: 9.97, smaller: 10.0, DEFAULT: 10.01, config(DEPTH=1): 10.0, config(DEPTH=4): 10.0}
    items = list(times.items())[::order]
    found = contenders(GROUP, {chosen: {SMALL: us, LARGE: us} for chosen, us in items})
    assert [contender.configs[SMALL] for contender in found] == [DEFAULT, smaller, larger]


def test_nothing_faster_keeps_the_default():
    verdict = judged(DEFAULT, [10.0] * CHIPS, [10.0] * CHIPS)
    assert not verdict.replaced
    assert verdict.reason == "the default stays: nothing tried is more than 0.5% faster"


@pytest.mark.parametrize("winning", [29, 32])
def test_winning_on_nine_chips_of_ten_replaces_the_default(winning):
    verdict = judged(OTHER, mixed(winning), mixed(32))
    assert verdict.replaced == {SMALL, LARGE}
    assert verdict.reason == "wins on at least 29/32 chips for every shape"


def test_a_relative_of_the_default_replaces_it_only_where_it_wins():
    verdict = judged(RELATIVE, mixed(28), mixed(29))
    assert verdict.replaced == {LARGE}
    assert "1 of 2 shapes" in verdict.reason
    verdict = judged(RELATIVE, mixed(28), mixed(27))
    assert not verdict.replaced
    assert verdict.reason == f"the default stays: {SMALL} wins on 28/32, 29 needed"


def test_a_group_may_win_although_one_case_does_not():
    verdict = judged(OTHER, mixed(32, won=5.0), mixed(3, lost=10.19))
    assert verdict.replaced == {SMALL, LARGE}
    assert "the group wins on 32/32 chips" in verdict.reason
    assert f"{LARGE} wins on 3/32 alone, 1.9% lost at the median" in verdict.reason


def test_a_case_that_loses_too_much_keeps_the_default_for_its_group():
    verdict = judged(OTHER, mixed(32, won=5.0), mixed(3, lost=10.21))
    assert not verdict.replaced
    assert verdict.reason == f"the default stays: {LARGE} would lose 2.1% at the median"


def test_a_group_that_does_not_win_keeps_the_default():
    verdict = judged(OTHER, mixed(28, won=9.0, lost=10.5), mixed(28, won=9.0, lost=10.5))
    assert not verdict.replaced
    assert "the group on 28, 29 needed" in verdict.reason


@pytest.mark.parametrize("chosen", [OTHER, RELATIVE])
def test_an_unusable_default_loses_everywhere(chosen):
    assert judged(chosen, mixed(0), mixed(0), default=math.inf).replaced == {SMALL, LARGE}


def test_a_draw_is_no_win():
    assert wins([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == 1


def test_regret_is_the_worst_loss_and_never_negative():
    assert worst_regret([1.0, 2.2, 1.5], [2.0, 2.0, 1.5]) == pytest.approx(0.1)
    assert worst_regret([1.0], [2.0]) == 0
    assert worst_regret([1.0], [math.inf]) == 0
