"""A configuration on one case, timed on many chips, and beside the default."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cold_kernels.cases import Case
from cold_kernels.record import Record
from cold_kernels.spec import KernelSpec
from cold_kernels.tables import Entry

from .evaluate import Evaluator
from .group import Group
from .winner import wins, worst_regret


@dataclass(frozen=True)
class ChipTimes:
    """Simulated microseconds of the launches of a configuration on a case.

    Args:
        us: On the nominal chip.
        on: On each of the chips.
        net_us: ``us`` without the fixed cost of the launches.
        net_on: ``on`` without it.
        floors: Time of the bytes that must move, on each of the chips.
        floor_us: The same on the nominal chip.
        bound: The pipe with the most busy cycles.
        programs: Digest of what was compiled.
    """

    us: float
    on: tuple[float, ...]
    net_us: float
    net_on: tuple[float, ...]
    floors: tuple[float, ...]
    floor_us: float
    bound: str
    programs: str


@dataclass(frozen=True)
class TunedCase:
    """What was found for one case; times in simulated microseconds.

    Args:
        case: The case.
        config: What the table will say.
        default_us: Time of the default; None if it is unusable.
        best_us: Time of ``config``, nominal chip.
        default_net_us: Time of the default without the fixed cost of its launches; None if it is unusable.
        net_us: The same of ``config``.
        chips: How many plausible chips it was timed on.
        wins: On how many of them it is strictly faster than the default; None if it is the default.
        worst_regret: Over the chips, the most that it costs relative to the better of it and the default.
        floor_us: Time of the bytes that must move.
        bound: The pipe with the most busy cycles.
        ranges: Least and most over the chips of ``default_us``, ``best_us``, ``gain``, and ``over_floor``, which is the
            time without launches over that of the bytes; those of the default are left out if it is unusable.
        programs: Digest of what was compiled.
    """

    case: Case
    config: Record
    default_us: float | None
    best_us: float
    default_net_us: float | None
    net_us: float
    chips: int
    wins: int | None
    worst_regret: float
    floor_us: float
    bound: str
    ranges: Mapping[str, tuple[float, float]]
    programs: str

    @property
    def gain(self) -> float | None:
        """How many times faster than the default."""
        return None if self.default_us is None else self.default_us / self.best_us

    def entry(self, group: Group) -> Entry:
        return Entry(
            group.spec.key(self.case.shape()),
            self.config,
            "simulated",
            self.details() | said(group.spec),
            self.programs,
        )

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
            "chips": self.chips,
            "worst_regret": _rounded(self.worst_regret),
            "floor_us": _rounded(self.floor_us),
            "bound": self.bound,
            "ranges": {name: [_rounded(least), _rounded(most)] for name, (least, most) in self.ranges.items()},
        }


def said(spec: KernelSpec) -> dict[str, str]:
    """What a table's entry says of a reference that is not float64's: nothing was held against the truth."""
    return {} if spec.against == "float64" else {"values compared with": spec.against}


def timed_on(evaluator: Evaluator, config: Record, case: Case, chips: Sequence[Any]) -> ChipTimes:
    """A configuration's times on a case, nominal and on each of ``chips``.

    Raises:
        AscendError: it does not compile, or does what the simulator refuses.
    """
    timed = evaluator.timed(config, case)
    nominal = evaluator.machine.chip
    floor = evaluator.floor_microseconds(case)
    on = tuple(timed.on(chip) for chip in chips)
    return ChipTimes(
        us=timed.microseconds,
        on=on,
        net_us=timed.net(nominal),
        net_on=tuple(us - len(timed.parts) * chip.constants["launch_us"] for us, chip in zip(on, chips, strict=True)),
        floors=tuple(floor * nominal.hbm_bytes_per_second / chip.hbm_bytes_per_second for chip in chips),
        floor_us=floor,
        bound=timed.bound,
        programs=evaluator.programs(config, case),
    )


def scored(case: Case, config: Record, mine: ChipTimes, default: ChipTimes | None, same: bool) -> TunedCase:
    """The figures of a configuration beside the default's, which is None if unusable; ``same`` if it is the default."""
    listed = {"best_us": mine.on}
    if mine.floor_us:
        listed["over_floor"] = tuple(net / floor for net, floor in zip(mine.net_on, mine.floors, strict=True))
    if default:
        listed["default_us"] = default.on
        listed["gain"] = tuple(other / one for one, other in zip(mine.on, default.on, strict=True))
    others = default.on if default else [math.inf] * len(mine.on)
    return TunedCase(
        case=case,
        config=config,
        default_us=default.us if default else None,
        best_us=mine.us,
        default_net_us=default.net_us if default else None,
        net_us=mine.net_us,
        chips=len(mine.on),
        wins=None if same else wins(mine.on, others),
        worst_regret=worst_regret(mine.on, others),
        floor_us=mine.floor_us,
        bound=mine.bound,
        ranges={name: (min(figures), max(figures)) for name, figures in listed.items()},
        programs=mine.programs,
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
