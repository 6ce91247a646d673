"""What the grid says of the goals: medians, worst cells, wins on plausible chips."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .cases import PARTS, Counted

LAUNCH_FLOORS = 5.0, 10.0, 20.0
"""Microseconds that a launch costs whatever it does; public sources disagree within these."""
FEW_ROWS = 16
SHARE, OVER_MINIMAL, FEWER, TIE = 0.85, 1.1, 3.0, 0.08
"""Of the bytes' floor that a launch reaches; bytes over those that must move; times less than the best peer's scheme;
and what the model does not tell apart (docs/fidelity.md, section 1.4)."""
OURS = "cold-kernels"


@dataclass(frozen=True)
class Goal:
    """A goal in words, what was found, and whether all cells meet it; None if it says nothing that can be met."""

    goal: str
    found: str
    met: bool | None


def ratios(found: Mapping, launch_us: float) -> list[float]:
    """Time of the best peer's scheme over ours, on the nominal chip and on each plausible one."""
    times = {
        name: [us + scheme["launches"] * launch_us for us in scheme["us"]]
        for name, scheme in found.items()
        if name != PARTS
    }
    ours = times.pop(OURS)
    return [min(column) / mine for mine, *column in zip(ours, *times.values(), strict=True)]


def best_peer(found: Mapping, launch_us: float) -> str:
    """Name of the fastest of the peers' schemes on the nominal chip."""
    peers = {name: scheme for name, scheme in found.items() if name not in (PARTS, OURS)}
    return min(peers, key=lambda name: peers[name]["us"][0] + peers[name]["launches"] * launch_us)


def goals(cells: Counted, bandwidth: Mapping[str, list[float]]) -> list[Goal]:
    """The goals on these cells.

    Args:
        cells: What `grid.count` found.
        bandwidth: By chip, bytes per second of global memory on the nominal chip and on each plausible one.
    """
    return [*_counted(cells), *_roofs(cells, bandwidth), *_against_peers(cells)]


def _counted(cells: Counted) -> list[Goal]:
    parts = [part for found in cells.values() for part in found[PARTS]]
    launches = max(found[OURS]["launches"] for found in cells.values())
    moved = [part["bytes moved"] / part["minimal bytes"] for part in parts]
    fetched = [part["fetched"] / part["minimal bytes"] for part in parts]
    trips = sum(part["round trips"] for part in parts)
    drains = Counter()
    for part in parts:
        drains.update(part["drains"])
    kinds = ", ".join(f"{count} {kind}" for kind, count in drains.items())
    return [
        Goal("at most 4 launches a layer", f"{launches}", launches <= 4),
        Goal(
            f"bytes from global memory over minimal at most {OVER_MINIMAL}, by the model's second-level cache",
            _spread(fetched),
            max(fetched) <= OVER_MINIMAL,
        ),
        Goal(f"bytes that cores copy over minimal at most {OVER_MINIMAL}", _spread(moved), max(moved) <= OVER_MINIMAL),
        Goal("no scalar round trip", f"{trips} in {len(parts)} launches", not trips),
        Goal("no drain", f"{kinds} in {len(parts)} launches", not drains.total()),
    ]


def _roofs(cells: Counted, bandwidth: Mapping[str, list[float]]) -> list[Goal]:
    made = []
    for launch_us in LAUNCH_FLOORS:
        nominal, worst_chip = [], []
        for cell, found in cells.items():
            rates = bandwidth[cell.chip]
            for part in found[PARTS]:
                floors = [part["minimal bytes"] / rate * 1e6 for rate in rates]
                if floors[0] >= 2 * launch_us:
                    shares = [floor / us for floor, us in zip(floors, part["kernel_us"], strict=True)]
                    nominal.append(shares[0])
                    worst_chip.append(min(shares[1:], default=shares[0]))
        goal = f"at least {SHARE:.0%} of the bytes' floor where that is {2 * launch_us:g} us or more"
        goal += ", without launch and start of cores"
        if not nominal:
            made.append(Goal(goal, "no such launch", None))
            continue
        reached = sum(share >= SHARE for share in nominal)
        text = (
            f"median {statistics.median(nominal):.0%}, worst {min(nominal):.0%}, {reached} of {len(nominal)} launches; "
        )
        text += f"worst chip: median {statistics.median(worst_chip):.0%}, worst {min(worst_chip):.0%}"
        made.append(Goal(goal, text, reached == len(nominal)))
    return made


def _against_peers(cells: Counted) -> list[Goal]:
    made = []
    for launch_us in LAUNCH_FLOORS:
        few = {c: ratios(f, launch_us) for c, f in cells.items() if c.batch.rows <= FEW_ROWS}
        every = {c: ratios(f, launch_us) for c, f in cells.items()}
        for goal, least, picked in (
            (f"{FEWER:g} times less LoRA time than the best peer's scheme, 1 to {FEW_ROWS} rows", FEWER, few),
            ("never slower than it", 1.0, every),
        ):
            goal += f", launch {launch_us:g} us"
            if not picked:
                made.append(Goal(goal, "no such cell", None))
                continue
            nominal = [each[0] for each in picked.values()]
            wins = [sum(ratio > 1 for ratio in each[1:]) for each in picked.values()]
            worst = min(picked, key=lambda cell: picked[cell][0])
            ties = sum(abs(ratio - 1) < TIE for ratio in nominal)
            text = f"median {statistics.median(nominal):.2f}x, worst {min(nominal):.2f}x ({worst}); "
            text += f"met in {sum(r >= least for r in nominal)} of {len(nominal)} cells, {ties} ties; wins on "
            text += f"{statistics.median(wins):.0f}/32 chips (median), {min(wins)}/32 (least)"
            made.append(Goal(goal, text, min(nominal) >= least))
    return made


def _spread(values: Iterable[float]) -> str:
    values = sorted(values)
    met = sum(value <= OVER_MINIMAL for value in values)
    return f"median {statistics.median(values):.2f}, worst {values[-1]:.2f}, {met} of {len(values)} launches"
