"""From finished trials to a table: the best re-timed on plausible chips and checked against float64."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.tables import Entry

from .evaluate import Evaluator, Timed, geomean
from .group import Group
from .sampler import LegalSampler
from .trial import Outcome, commonest, decided, in_a_line, problem, recorded
from .winner import TIE, Times, candidates, judge, wins, worst_regret

CHIPS = 32
RETIMED = 8
"""Candidates that are timed on the plausible chips, besides the default's own relatives."""
OnChips = tuple[Timed, list[float]]
"""The launches of a configuration on a case, and their microseconds on each plausible chip."""


@dataclass(frozen=True)
class Row:
    """What was found for one case; times in simulated microseconds.

    Args:
        case: The case.
        config: What the table will say.
        default_us: Time of the default; None if it is unusable.
        best_us: Time of ``config``, nominal chip.
        default_net_us: Time of the default without the fixed cost of its launches; None if it is unusable.
        net_us: The same of ``config``.
        wins: Chips, of `CHIPS`, on which it is strictly faster than the default; None if it is the default.
        worst_regret: Over the chips, the most that it costs relative to the better of it and the default.
        floor_us: Time of the bytes that must move.
        bound: The pipe with the most busy cycles.
        ranges: Least and most over the chips of ``default_us``, ``best_us``, ``gain``, and ``over_floor``, which is the
            time without launches over that of the bytes; those of the default are left out if it is unusable.
    """

    case: Case
    config: Record
    default_us: float | None
    best_us: float
    default_net_us: float | None
    net_us: float
    wins: int | None
    worst_regret: float
    floor_us: float
    bound: str
    ranges: Mapping[str, tuple[float, float]]

    @property
    def gain(self) -> float | None:
        """How many times faster than the default."""
        return None if self.default_us is None else self.default_us / self.best_us

    def entry(self, group: Group) -> Entry:
        return Entry(group.spec.key(self.case.shape()), self.config, "simulated", self.details())

    def details(self) -> dict[str, Any]:
        """What a table keeps of it."""
        return {
            "case": str(self.case),
            "default_us": _rounded(self.default_us),
            "best_us": _rounded(self.best_us),
            "default_net_us": _rounded(self.default_net_us),
            "net_us": _rounded(self.net_us),
            "gain": _rounded(self.gain),
            "wins": self.wins,
            "chips": CHIPS,
            "worst_regret": _rounded(self.worst_regret),
            "floor_us": _rounded(self.floor_us),
            "bound": self.bound,
            "ranges": {name: [_rounded(least), _rounded(most)] for name, (least, most) in self.ranges.items()},
        }


@dataclass(frozen=True)
class Decision:
    """A row for each case of a group, none if no configuration works; ``reason`` says why this one."""

    group: Group
    rows: tuple[Row, ...]
    reason: str


class Referee:
    """Decides one group. What it has checked is kept in the study and not checked again."""

    def __init__(self, group: Group, evaluator: Evaluator, study: optuna.Study) -> None:
        self.group = group
        self.evaluator = evaluator
        self.study = study
        self.chips = evaluator.machine.chip.plausible(CHIPS)
        self._timed: dict[tuple[Record, Case], OnChips] = {}

    def decide(self) -> Decision:
        """The configurations for the group, out of the study's finished trials.

        Raises:
            ToolchainMissing: the compiler went away.
        """
        outcomes = self._outcomes()
        times = {config: dict(one.us) for config, one in outcomes.items() if one.us and not one.failure}
        default = self.group.default
        why = outcomes[default].failure if default in outcomes else "was not tried"
        if default in times and (why := self._wrong(default, self.group.cases)):
            del times[default]
        note = f"the default {in_a_line(why)}; " if why else ""
        while times:
            chosen, reason = self._best(times)
            wrong, why = self._first_wrong(chosen)
            if wrong is None:
                rows = tuple(self._row(case, config, default in times) for case, config in chosen.items())
                return Decision(self.group, rows, note + reason)
            del times[wrong]
            note += f"{wrong} {in_a_line(why)}; "
        others = commonest([outcome for config, outcome in outcomes.items() if config != default])
        reason = f"{note}no configuration that was tried works" + (f"; of the others {others}" if others else "")
        return Decision(self.group, (), reason)

    def _outcomes(self) -> dict[Record, Outcome]:
        sampler = self.study.sampler
        assert isinstance(sampler, LegalSampler)
        return {sampler.config(trial): recorded(trial) for trial in decided(self.study)}

    def _best(self, times: Times) -> tuple[dict[Case, Record], str]:
        """A configuration for each case, by `judge`'s rules the fastest on the nominal chip; and the reason."""
        usable = self.group.default in times
        default = {
            str(case): self._on_chips(self.group.default, case) if usable else [math.inf] * CHIPS
            for case in self.group.cases
        }
        accepted: list[tuple[float, dict[Case, Record], str]] = []
        reasons = []
        for rank, candidate in enumerate(candidates(self.group, times)):
            # The default's own relatives are always looked at: they can replace it case by case.
            if rank >= RETIMED and not candidate.shares_with_default(self.group):
                continue
            configs = {case: candidate.configs[str(case)] for case in self.group.cases}
            mine = {str(case): self._on_chips(config, case) for case, config in configs.items()}
            verdict = judge(self.group, candidate, default, mine)
            reasons.append(verdict.reason)
            if set(configs.values()) == {self.group.default}:
                break  # all that follow are slower than the default
            if verdict.replaced:
                chosen = {
                    case: config if str(case) in verdict.replaced else self.group.default
                    for case, config in configs.items()
                }
                us = geomean(times[config][str(case)] for case, config in chosen.items())
                accepted.append((us, chosen, verdict.reason))
        if not accepted:
            return dict.fromkeys(self.group.cases, self.group.default), reasons[0]
        limit = min(us for us, _, _ in accepted) * (1 + TIE)
        return next((chosen, reason) for us, chosen, reason in accepted if us <= limit)

    def _first_wrong(self, chosen: dict[Case, Record]) -> tuple[Record | None, str]:
        for config in dict.fromkeys(chosen.values()):
            if why := self._wrong(config, [case for case in chosen if chosen[case] == config]):
                return config, why
        return None, ""

    def _wrong(self, config: Record, cases: Iterable[Case]) -> str:
        """What speaks against ``config`` on all hard cases that it may run and on ``cases``; else ""."""
        hard = [case for case in self.group.hard if self.group.spec.allows(config, case.shape())]
        for case in (*hard, *cases):
            name = f"checked {config} on {case}"
            failure = self.study.user_attrs.get(name)
            if failure is None:
                failure = problem(self.evaluator, config, case, needed=case in cases) or ""
                self.study.set_user_attr(name, failure)
            if failure:
                return failure
        return ""

    def _on_chips(self, config: Record, case: Case) -> list[float]:
        return self._time(config, case)[1]

    def _time(self, config: Record, case: Case) -> OnChips:
        if (config, case) not in self._timed:
            self._timed[config, case] = timed_on(self.evaluator, config, case, self.chips)
        return self._timed[config, case]

    def _row(self, case: Case, config: Record, default_works: bool) -> Row:
        default = self._time(self.group.default, case) if default_works else None
        same = config == self.group.default
        return scored(case, config, self._time(config, case), default, same, self.evaluator, self.chips)


def timed_on(evaluator: Evaluator, config: Record, case: Case, chips: Sequence[Any]) -> OnChips:
    """A configuration's launches, and their microseconds on each of ``chips``.

    Raises:
        AscendError: it does not compile, or does what the simulator refuses.
    """
    timed = evaluator.timed(config, case)
    return timed, [timed.on(chip) for chip in chips]


def scored(
    case: Case,
    config: Record,
    mine: OnChips,
    default: OnChips | None,
    same: bool,
    evaluator: Evaluator,
    chips: Sequence[Any],
) -> Row:
    """The figures of a configuration beside the default's, which is None if unusable; ``same`` if it is the default."""
    nominal = evaluator.machine.chip
    timed, us = mine
    floor = evaluator.floor_microseconds(case)
    floors = [floor * nominal.hbm_bytes_per_second / chip.hbm_bytes_per_second for chip in chips]
    net = [all_ - len(timed.parts) * chip.constants["launch_us"] for all_, chip in zip(us, chips, strict=True)]
    listed = {"best_us": us}
    if floor:
        listed["over_floor"] = [one / least for one, least in zip(net, floors, strict=True)]
    if default:
        listed["default_us"] = default[1]
        listed["gain"] = [other / one for one, other in zip(us, default[1], strict=True)]
    others = default[1] if default else [math.inf] * len(us)
    return Row(
        case=case,
        config=config,
        default_us=default[0].microseconds if default else None,
        best_us=timed.microseconds,
        default_net_us=default[0].net(nominal) if default else None,
        net_us=timed.net(nominal),
        wins=None if same else wins(us, others),
        worst_regret=worst_regret(us, others),
        floor_us=floor,
        bound=timed.bound,
        ranges={name: (min(figures), max(figures)) for name, figures in listed.items()},
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
