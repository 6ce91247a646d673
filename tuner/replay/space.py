"""A recorded space: every legal configuration of a kernel with what became of it, as a compressed JSON file."""

import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole
from cold_kernels.record import Record

from ..search.domain import Domain
from ..search.trial import Outcome

FORMAT = 1
KINDS = ("compile", "simulate", "check")
"""What the seconds of a configuration were spent on; a benchmark on a device counts as "simulate"."""


@dataclass(frozen=True)
class Recorded:
    """One configuration's outcome, and the seconds that it took by `KINDS`."""

    outcome: Outcome
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """What a search minimises; None where the configuration cannot be used."""
        return None if self.outcome.failure or not self.outcome.us else self.outcome.value


@dataclass(frozen=True, eq=False)
class RecordedSpace:
    """What is known of a space.

    Args:
        name: Of the kernel.
        about: What the figures belong to: ``source``, ``model``, ``chip``, ``versions``, ``cases``, and the like.
        values: What each tunable may be, by name.
        default: What somebody chose by hand; the first configuration where nobody did.
        recorded: The outcomes of legal configurations.
        legal: How many configurations are legal.
    """

    name: str
    about: Mapping[str, Any]
    values: Mapping[str, tuple]
    default: Record
    recorded: Mapping[Record, Recorded]
    legal: int

    @property
    def complete(self) -> bool:
        """Whether every legal configuration has an outcome."""
        return len(self.recorded) == self.legal

    @cached_property
    def domain(self) -> Domain:
        """What a search chooses from."""
        return Domain(self.values, tuple(self.recorded), self.default)

    @cached_property
    def usable(self) -> dict[Record, float]:
        """The values of the configurations that can be used."""
        return {config: each.value for config, each in self.recorded.items() if each.value is not None}

    @cached_property
    def optimum(self) -> float:
        """The least value."""
        return min(self.usable.values())

    @property
    def size(self) -> int:
        """Points of the space, legal or not."""
        return math.prod(map(len, self.values.values()))

    def near(self, within: float) -> int:
        """How many configurations are at most ``within``, relative, above the optimum."""
        return sum(value <= self.optimum * (1 + within) for value in self.usable.values())

    def seconds(self, config: Record) -> float:
        """What the configuration took when it was recorded; 0 where nobody kept that."""
        return math.fsum(self.recorded[config].seconds.values())

    def checked(self) -> "RecordedSpace":
        """This space, if strategies can be run on it.

        Raises:
            ValueError: it is not complete, or nothing in it can be used.
        """
        if not self.complete:
            done = f"{len(self.recorded)} of {self.legal}"
            raise ValueError(f"{self.name}: {done} configurations are recorded; exhaust records the rest")
        if not self.usable:
            raise ValueError(f"{self.name}: none of the {self.legal} configurations can be used")
        return self


def write_space(path: Path, space: RecordedSpace) -> None:
    """Write a space, whole or not at all; the same space gives the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    head = {
        "format": FORMAT,
        "kernel": space.name,
        "about": dict(space.about),
        "values": {name: list(values) for name, values in space.values.items()},
        "default": dict(space.default),
        "legal": space.legal,
    }
    rows = [_row(space, config, each) for config, each in space.recorded.items()]
    text = json.dumps(head)[:-1] + ', "configurations": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}\n"
    write_whole(path, gzip.compress(text.encode(), mtime=0))


def space_of(content: Mapping[str, Any]) -> RecordedSpace:
    """A space from what its file holds.

    Raises:
        KeyError, TypeError, ValueError: it is no recorded space of this format.
    """
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r} is none that this version reads; record it again")
    values = {name: tuple(listed) for name, listed in content["values"].items()}
    recorded = dict(_recorded(values, row) for row in content["configurations"])
    if len(recorded) > content["legal"]:
        raise ValueError(f"{len(recorded)} configurations, but {content['legal']} legal ones")
    default = Record(content["default"])
    return RecordedSpace(content["kernel"], content["about"], values, default, recorded, content["legal"])


def _row(space: RecordedSpace, config: Record, each: Recorded) -> dict[str, Any]:
    outcome = each.outcome
    row = {
        "point": list(space.domain.point(config)),
        "rung": outcome.rung,
        "us": [_rounded(us) for us in outcome.us.values()],
        "failure": outcome.failure,
        "excess_bits": outcome.excess_bits,
        "checked": list(outcome.checked),
        "seconds": [round(each.seconds.get(kind, 0.0), 3) for kind in KINDS],
    }
    if outcome.us:
        row["cases"] = list(outcome.us)
    return {name: value for name, value in row.items() if value not in ("", None, [])}


def _recorded(values: Mapping[str, tuple], row: Mapping[str, Any]) -> tuple[Record, Recorded]:
    config = Record({name: listed[at] for (name, listed), at in zip(values.items(), row["point"], strict=True)})
    us = dict(zip(row.get("cases", ()), row.get("us", ()), strict=True))
    if not all(isinstance(each, (int, float)) and each > 0 for each in us.values()):
        raise ValueError(f"{config}: its times are {list(us.values())}, which must be positive numbers")
    outcome = Outcome(row["rung"], us, row.get("failure", ""), row.get("excess_bits"), tuple(row.get("checked", ())))
    return config, Recorded(outcome, dict(zip(KINDS, row.get("seconds", ()), strict=False)))


def _rounded(us: float) -> float:
    return float(f"{us:.7g}")
