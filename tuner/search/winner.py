"""Which configuration replaces the default: rules on times alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cold_kernels.record import Record

from .evaluate import geomean
from .group import Group

TIE = 0.005
"""Relative difference in time below which the order of the space decides.

Of the total time, the launch's fixed cost included: that is what a caller waits for, and a difference below this
is none to him, however large it is beside the time without the launch.
"""
WINS = 0.9
"""Share of the plausible chips on which a winner must be strictly faster than the default."""
LOSS = 0.02
"""What a case may lose at the median, relative to the default, where its group wins."""

ConfigTimes = Mapping[Record, Mapping[str, float]]
"""Microseconds by configuration and case."""


@dataclass(frozen=True)
class Contender:
    """A configuration for every case of a group, the same in ``spec.invariant``.

    Args:
        configs: By case.
        us: Geometric mean over the cases, nominal chip.
    """

    configs: dict[str, Record]
    us: float

    def shares_with_default(self, group: Group) -> bool:
        """Whether its shared tunables are the default's, so that either may be chosen case by case."""
        return group.shaping(next(iter(self.configs.values()))) == group.shaping(group.default)


@dataclass(frozen=True)
class Judgement:
    """What the plausible chips say of a contender.

    Args:
        replaced: The cases that take the contender's configuration; the others keep the default.
        reason: One line, for people.
    """

    replaced: frozenset[str]
    reason: str


def contenders(group: Group, times: ConfigTimes) -> list[Contender]:
    """For each choice of the shared tunables, the best of the others case by case; the fastest first.

    ConfigTimes within `TIE` of each other count as equal: the default comes first, then the order of the space.
    """
    by_shaping: dict[tuple, list[Record]] = {}
    for config in sorted(times, key=_order(group)):
        by_shaping.setdefault(group.shaping(config), []).append(config)
    found = []
    for configs in by_shaping.values():
        chosen = {}
        for case in map(str, group.cases):
            limit = min(times[config][case] for config in configs) * (1 + TIE)
            chosen[case] = next(config for config in configs if times[config][case] <= limit)
        found.append(Contender(chosen, geomean(times[config][case] for case, config in chosen.items())))
    ranked = []
    while found:
        limit = min(contender.us for contender in found) * (1 + TIE)
        ranked.append(next(contender for contender in found if contender.us <= limit))
        found.remove(ranked[-1])
    return ranked


def judge(
    group: Group,
    contender: Contender,
    default: Mapping[str, Sequence[float]],
    mine: Mapping[str, Sequence[float]],
) -> Judgement:
    """Whether ``contender`` replaces the default, and for which cases.

    Args:
        default: The default's microseconds by case, one figure for each plausible chip; infinite if unusable.
        mine: The same for the contender.
    """
    chips = len(next(iter(default.values())))
    needed = math.ceil(WINS * chips)
    count = {case: wins(mine[case], default[case]) for case in default}
    winning = frozenset(case for case in count if count[case] >= needed)
    if contender.shares_with_default(group):
        changed = [case for case, config in contender.configs.items() if config != group.default]
        if not changed:
            return Judgement(frozenset(), f"the default stays: nothing tried is more than {TIE:.1%} faster")
        replaced = winning.intersection(changed)
        if replaced:
            some = f"{len(replaced)} of {len(count)} shapes"
            return Judgement(replaced, f"wins on at least {needed}/{chips} chips for {some}")
        closest = max(changed, key=count.get)
        return Judgement(replaced, f"the default stays: {_score(closest, count, chips)}, {needed} needed")
    if len(winning) == len(count):
        return Judgement(winning, f"wins on at least {needed}/{chips} chips for every shape")
    worst = min(count, key=lambda case: count[case])
    together = wins(_over_cases(mine), _over_cases(default))
    losses = {case: median(map(_ratio, mine[case], default[case])) - 1 for case in default}
    most = max(losses, key=losses.get)
    if together < needed:
        score = _score(worst, count, chips)
        return Judgement(frozenset(), f"the default stays: {score}, the group on {together}, {needed} needed")
    if losses[most] > LOSS:
        return Judgement(frozenset(), f"the default stays: {most} would lose {losses[most]:.1%} at the median")
    return Judgement(
        frozenset(count),
        f"the group wins on {together}/{chips} chips; {_score(worst, count, chips)} alone, "
        f"{max(0.0, losses[most]):.1%} lost at the median",
    )


def beside_kept(group: Group, times: ConfigTimes) -> dict[str, Record]:
    """By case the fastest configuration that a table may have beside the entries that are kept.

    ConfigTimes within `TIE` of each other count as equal: what launches run today comes first, then as in `contenders`.
    """
    fitting = [config for config in sorted(times, key=_order(group)) if group.fits(config)]
    chosen = {}
    for case in group.cases:
        limit = min(times[config][str(case)] for config in fitting) * (1 + TIE)
        fast = [config for config in fitting if times[config][str(case)] <= limit]
        today = group.incumbent(case)
        chosen[str(case)] = today if today in fast else fast[0]
    return chosen


def judge_beside(
    configs: Mapping[str, Record],
    today: Mapping[str, Record | None],
    theirs: Mapping[str, Sequence[float]],
    mine: Mapping[str, Sequence[float]],
) -> Judgement:
    """Where ``configs`` replace what launches run today, each case for itself: they shape sums alike.

    Args:
        theirs: Microseconds by case of ``today``, one figure for each plausible chip; infinite if unusable.
        mine: The same of ``configs``.
    """
    chips = len(next(iter(mine.values())))
    needed = math.ceil(WINS * chips)
    changed = [case for case in configs if configs[case] != today[case]]
    if not changed:
        return Judgement(frozenset(), f"what tables have stays: nothing tried is more than {TIE:.1%} faster")
    count = {case: wins(mine[case], theirs[case]) for case in changed}
    replaced = frozenset(case for case in changed if count[case] >= needed)
    if replaced:
        some = f"{len(replaced)} of {len(configs)} shapes"
        return Judgement(replaced, f"wins on at least {needed}/{chips} chips over what tables have, for {some}")
    closest = max(changed, key=count.get)
    return Judgement(replaced, f"what tables have stays: {_score(closest, count, chips)}, {needed} needed")


def wins(mine: Iterable[float], other: Iterable[float]) -> int:
    """On how many chips ``mine`` is strictly faster."""
    return sum(a < b for a, b in zip(mine, other, strict=True))


def worst_regret(mine: Iterable[float], other: Iterable[float]) -> float:
    """The most over the chips of ``mine / min(mine, other) - 1``; 0 if ``mine`` never loses."""
    return max(a / min(a, b) - 1 for a, b in zip(mine, other, strict=True))


def _order(group: Group):
    default = group.default

    def key(config: Record) -> tuple:
        return (group.shaping(config) != group.shaping(default), config != default, group.point(config))

    return key


def _score(case: str, count: Mapping[str, int], chips: int) -> str:
    return f"{case} wins on {count[case]}/{chips}"


def _over_cases(times: Mapping[str, Sequence[float]]) -> list[float]:
    return [geomean(column) if all(map(math.isfinite, column)) else math.inf for column in zip(*times.values())]


def _ratio(mine: float, other: float) -> float:
    return mine / other if math.isfinite(other) else 0.0
