"""From finished trials to a table: the best re-timed on plausible chips and checked against float64."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.tables import Entry

from .evaluate import geomean
from .group import Group
from .pool import Pool, answers
from .study import Study
from .tasks import CHIPS, Check, TimeOnChips
from .timed import ChipTimes, TunedCase, scored
from .trial import commonest, in_a_line
from .winner import TIE, ConfigTimes, Contender, beside_kept, contenders, judge, judge_beside

RETIMED = 8
"""Contenders that are timed on the plausible chips, besides the default's own relatives."""


@dataclass(frozen=True)
class GroupDecision:
    """What was found for each case of a group, nothing if no configuration works; ``reason`` says why this."""

    group: Group
    rows: tuple[TunedCase, ...]
    reason: str

    def entries(self) -> tuple[Entry, ...]:
        """What a table gets: what was found, and beside it what is kept."""
        found = tuple(row.entry(self.group) for row in self.rows)
        shapes = {entry.shape for entry in found}
        return (*(entry for entry in self.group.kept if entry.shape not in shapes), *found)


class Referee:
    """Decides one group, of that ``number`` in the pool. What it checked is kept in the study and not checked again."""

    def __init__(self, study: Study, number: int, pool: Pool) -> None:
        self.group = study.group
        self.study = study
        self._number = number
        self._pool = pool
        self._timed: dict[tuple[Record, Case], ChipTimes | str] = {}

    def decide(self) -> GroupDecision:
        """The configurations for the group, out of the study's finished trials.

        Raises:
            ToolchainMissing: the compiler went away.
        """
        outcomes = dict(self.study.decided)
        times = {config: dict(one.us) for config, one in outcomes.items() if one.us and not one.failure}
        default, cases = self.group.default, self.group.cases
        why = outcomes[default].failure if default in outcomes else "was not tried"
        if default in times:
            self._do([*self._checks(default, cases), *self._timings(times)])
            if why := self._wrong(default, cases):
                del times[default]
        note = f"the default {in_a_line(why)}; " if why else ""
        while any(map(self.group.fits, times)):
            self._do(self._timings(times))
            wrong, why = self._untimed(times)
            if wrong is None:
                chosen, reason = self._beside_kept(times) if self.group.kept else self._best(times)
                wrong, why = self._first_wrong(chosen)
            if wrong is None:
                rows = tuple(self._row(case, config, default in times) for case, config in chosen.items())
                return GroupDecision(self.group, rows, note + reason)
            del times[wrong]
            note += f"{wrong} {in_a_line(why)}; "
        others = commonest([outcome for config, outcome in outcomes.items() if config != default])
        reason = f"{note}no configuration that was tried works" + (f"; of the others {others}" if others else "")
        return GroupDecision(self.group, (), reason)

    def _ranked(self, times: ConfigTimes) -> list[Contender]:
        """The contenders that are worth the plausible chips, the fastest first."""
        found = []
        for rank, contender in enumerate(contenders(self.group, times)):
            # The default's own relatives are always looked at: they can replace it case by case.
            if rank < RETIMED or contender.shares_with_default(self.group):
                found.append(contender)
                if set(contender.configs.values()) == {self.group.default}:
                    break  # all that follow are slower than the default
        return found

    def _best(self, times: ConfigTimes) -> tuple[dict[Case, Record], str]:
        """A configuration for each case, by `judge`'s rules the fastest on the nominal chip; and the reason."""
        default = self._on_chips(dict.fromkeys(self.group.cases, self.group.default), times)
        accepted: list[tuple[float, dict[Case, Record], str]] = []
        reasons = []
        for contender in self._ranked(times):
            configs = {case: contender.configs[str(case)] for case in self.group.cases}
            judgement = judge(self.group, contender, default, self._on_chips(configs, times))
            reasons.append(judgement.reason)
            if judgement.replaced:
                chosen = {
                    case: config if str(case) in judgement.replaced else self.group.default
                    for case, config in configs.items()
                }
                us = geomean(times[config][str(case)] for case, config in chosen.items())
                accepted.append((us, chosen, judgement.reason))
        if not accepted:
            return dict.fromkeys(self.group.cases, self.group.default), reasons[0]
        limit = min(us for us, _, _ in accepted) * (1 + TIE)
        return next((chosen, reason) for us, chosen, reason in accepted if us <= limit)

    def _beside_kept(self, times: ConfigTimes) -> tuple[dict[Case, Record], str]:
        """For each case what launches run on it today, or what is faster by `judge_beside`'s rules; and the reason."""
        today = {case: self.group.incumbent(case) for case in self.group.cases}
        configs = beside_kept(self.group, times)
        judgement = judge_beside(
            configs, {str(case): config for case, config in today.items()},
            self._on_chips(today, times), self._on_chips({case: configs[str(case)] for case in today}, times),
        )  # fmt: skip
        chosen = {case: configs[str(case)] if str(case) in judgement.replaced else today[case] for case in today}
        return chosen, judgement.reason

    def _timings(self, times: ConfigTimes) -> list[TimeOnChips]:
        """What the decision needs on the plausible chips and has not got."""
        cases, needed = self.group.cases, []
        if self.group.kept:
            best = beside_kept(self.group, times) if any(map(self.group.fits, times)) else {}
            needed += [(config, case) for case in cases for config in (self.group.incumbent(case), best.get(str(case)))]
        else:
            needed += [(each.configs[str(case)], case) for each in self._ranked(times) for case in cases]
        needed += [(self.group.default, case) for case in cases]
        wanted = dict.fromkeys((config, case) for config, case in needed if config in times)
        return [TimeOnChips(config, case) for config, case in wanted if (config, case) not in self._timed]

    def _untimed(self, times: ConfigTimes) -> tuple[Record | None, str]:
        """A configuration that could not be timed on the chips, and why."""
        failed = ((config, why) for (config, _), why in self._timed.items() if isinstance(why, str) and config in times)
        return next(failed, (None, ""))

    def _first_wrong(self, chosen: dict[Case, Record]) -> tuple[Record | None, str]:
        cases = {config: [case for case in chosen if chosen[case] == config] for config in chosen.values()}
        self._do([check for config in cases for check in self._checks(config, cases[config])])
        for config in cases:
            if why := self._wrong(config, cases[config]):
                return config, why
        return None, ""

    def _wrong(self, config: Record, cases: Iterable[Case]) -> str:
        """What spoke against ``config`` on all hard cases that it may run and on ``cases``; else ""."""
        return next(filter(None, (self.study.noted(_note(config, case)) for case in self._checked(config, cases))), "")

    def _checks(self, config: Record, cases: Iterable[Case]) -> list[Check]:
        """Of what `_wrong` asks about, what was not checked yet."""
        cases = list(cases)
        unknown = [case for case in self._checked(config, cases) if self.study.noted(_note(config, case)) is None]
        return [Check(config, case, needed=case in cases) for case in unknown]

    def _checked(self, config: Record, cases: Iterable[Case]) -> dict[Case, None]:
        hard = [case for case in self.group.hard if self.group.spec.allows(config, case.shape())]
        return dict.fromkeys((*hard, *cases))

    def _do(self, tasks: Iterable[Check | TimeOnChips]) -> None:
        """Have tasks done, and keep the answers."""
        for task, answer in answers(self._pool, self._number, tasks):
            if isinstance(task, Check):
                self.study.note(_note(task.config, task.case), answer)
            else:
                self._timed[task.config, task.case] = answer

    def _on_chips(self, configs: Mapping[Case, Record | None], times: ConfigTimes) -> dict[str, Sequence[float]]:
        """Microseconds by case on each plausible chip; infinite where a configuration is unusable."""
        return {
            str(case): self._timed[config, case].on if config in times else (math.inf,) * CHIPS
            for case, config in configs.items()
        }

    def _row(self, case: Case, config: Record, default_works: bool) -> TunedCase:
        default = self._timed[self.group.default, case] if default_works else None
        return scored(case, config, self._timed[config, case], default, same=config == self.group.default)


def _note(config: Record, case: Case) -> str:
    return f"checked {config} on {case}"
