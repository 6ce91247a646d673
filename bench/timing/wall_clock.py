"""Times of the last run and accepted ones, by device, and when one has become slower than what was accepted."""

import hashlib
import json
import platform
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cold_kernels.files import write_whole

from ..history import FOLDER, checked_reason, note
from .rank_test import greater
from .side_by_side import Times

FACTOR, SECONDS, CHANCE = 1.25, 50e-6, 0.002
"""Slower is what has become slower by this factor, by this much, and by chance less often than this."""
LEAST_ROUNDS = 6
"""With fewer on both sides no outcome is rarer than `CHANCE`."""
RESULTS = Path(__file__).parents[1] / "results"
ACCEPTED = FOLDER / "wall_clock"


def _processor() -> str:
    """A name for the model of this processor: even ratios hold on machines that have it, and no further."""
    try:
        described = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        described = []
    model = next((line for line in described if line.startswith("model name")), platform.processor())
    return f"cpu_{hashlib.sha256(f'{platform.machine()} {model}'.encode()).hexdigest()[:8]}"


CPU = _processor()


@dataclass(frozen=True)
class Measured:
    """A benchmark's times.

    Args:
        seconds, others: Of ours and of the others, medians.
        reference: Which of the others ours is compared with.
        ratios: Ours over the reference, by round.
        fastest: The same of each one's fastest round.
    """

    seconds: float
    others: Mapping[str, float]
    reference: str
    ratios: tuple[float, ...]
    fastest: float

    @classmethod
    def of(cls, times: Times) -> "Measured":
        return cls(times.median, times.medians, times.reference, times.ratios, times.fastest)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Measured":
        others = {name: us / 1e6 for name, us in data["others_us"].items()}
        return cls(data["us"] / 1e6, others, data["reference"], tuple(data["ratios"]), data["fastest"])

    def to_json(self) -> dict[str, Any]:
        return dict(
            us=round(self.seconds * 1e6, 2),
            others_us={name: round(value * 1e6, 2) for name, value in self.others.items()},
            reference=self.reference,
            ratios=[_rounded(ratio) for ratio in self.ratios],
            fastest=_rounded(self.fastest),
        )


@dataclass(frozen=True)
class Change:
    """From accepted to now.

    Args:
        factor: Of the ratio to the reference: of its median or of the fastest rounds, whichever has grown less.
        seconds: The same growth of the median in a call's time on this machine.
        chance: Of such ratios, by a rank test, if nothing had changed.
    """

    factor: float
    seconds: float
    chance: float

    @property
    def slower(self) -> bool:
        return self.factor >= FACTOR and self.seconds >= SECONDS and self.chance < CHANCE

    def __str__(self) -> str:
        return f"{self.factor:.2f} times, {self.seconds * 1e6:+.0f} us a call, p = {self.chance:.1g}"


def change(accepted: Measured, now: Measured) -> Change:
    """How ``now`` differs from what was accepted, both relative to the reference that ran beside them.

    Raises:
        ValueError: they have different references, or too few rounds to tell anything.
    """
    if accepted.reference != now.reference:
        raise ValueError(
            f"accepted beside {accepted.reference!r}, timed beside {now.reference!r}; accept the times anew"
        )
    if min(len(accepted.ratios), len(now.ratios)) < LEAST_ROUNDS:
        raise ValueError(f"{len(accepted.ratios)} and {len(now.ratios)} rounds; it takes {LEAST_ROUNDS} of each")
    before, after = statistics.median(accepted.ratios), statistics.median(now.ratios)
    seconds = (after - before) * now.others[now.reference]
    factor = min(after / before, now.fastest / accepted.fastest)
    return Change(factor, seconds, greater(now.ratios, accepted.ratios))


def read(device: str, folder: Path) -> dict[str, Measured]:
    """The times of a device by benchmark; none if there are none."""
    path = folder / f"{device}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {name: Measured.from_json(data) for name, data in found.items()}


def merge(device: str, found: Mapping[str, Measured], folder: Path) -> Path:
    """Write times of a device over those of the same benchmarks, a line for each benchmark."""
    merged = {**read(device, folder), **found}
    lines = [f"{json.dumps(name)}: {json.dumps(merged[name].to_json())}" for name in sorted(merged)]
    path = folder / f"{device}.json"
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")
    return path


def devices(folder: Path) -> list[str]:
    """The devices that have times in a folder."""
    return sorted(path.stem for path in folder.glob("*.json"))


def accept(reason: str, results: Path = RESULTS, accepted: Path = ACCEPTED, history: Path = FOLDER) -> dict[str, int]:
    """Make the last times the accepted ones, of each device that has some; how many of each."""
    counts = {}
    for device in devices(results):
        found = read(device, results)
        merge(device, found, accepted)
        counts[device] = len(found)
    if counts:
        note(history, dict(reason=checked_reason(reason), wall_clock=counts))
    return counts


def _rounded(ratio: float) -> float:
    return float(f"{ratio:.4g}")
