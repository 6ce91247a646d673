"""What the grid says of the goals: medians, worst cells, and whether nearly all plausible chips agree.

All goals are for device time.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cold_kernels.ascend.host_clock import enqueued_us
from tuner.search.winner import WINS

from .cases import PARTS, Counted
from .names import ASKED, OURS

MOST_ROWS, LEAST_RANK, LONG = 64, 16, 2048
"""Of goals beside the floor: rows of a decode step at most, rank at least, tokens of a prompt at least."""
FASTER, OVER_FLOOR, CHOICE_OVER_FLOOR, OVER_MINIMAL = 2.0, 1.5, 2.0, 1.1
"""Times as fast as the best peer's scheme in the median cell; time over launches' floors and minimal bytes, of LoRA and
of the choice; bytes over those that must move."""
NINE_OF_TEN = 0.9
FEWEST, MOST_LAUNCHES = 4, 8
"""Launches of a layer: one a projection, or a shrink and an expand where a group's table says so."""
TIE = 0.08
"""What the model does not tell apart (docs/fidelity.md, section 1.4)."""


@dataclass(frozen=True)
class Goal:
    """A goal in words, what was found, and whether it is met; None where that is reported and not judged."""

    goal: str
    found: str
    met: bool | None


def schemes(found: Mapping) -> dict[str, Mapping]:
    """By name, what was found of each scheme."""
    return {name: scheme for name, scheme in found.items() if name != PARTS}


def launched(scheme: Mapping) -> list[tuple[str, float]]:
    """The launches of a layer in order, as `host_clock.enqueued_us` takes them."""
    return [(launcher, us) for projection in scheme["launches"] for launcher, us in projection]


def peers(found: Mapping) -> dict[str, Mapping]:
    """By name, what was found of each scheme that is not ours."""
    return {name: scheme for name, scheme in schemes(found).items() if name not in (OURS, ASKED)}


def asked(found: Mapping) -> Mapping:
    """What was found of ours where the cube is asked for."""
    return found.get(ASKED, found[OURS])


def ratios(found: Mapping, ours: Mapping | None = None) -> list[float]:
    """Device time of the best peer's scheme over ours, on the nominal chip and on each plausible one.

    Args:
        ours: What was found of ours; that by the tables alone where nothing else is given.
    """
    times = [scheme["device_us"] for scheme in peers(found).values()]
    mine = (ours or found[OURS])["device_us"]
    return [min(column) / us for us, *column in zip(mine, *times, strict=True)]


def enqueued_ratio(found: Mapping, enqueue: Mapping[str, float]) -> float:
    """The same with host enqueue, on the nominal chip: a layer's LoRA alone in the queue, which is empty at first."""
    times = [enqueued_us(launched(scheme), enqueue) for scheme in peers(found).values()]
    return min(times) / enqueued_us(launched(found[OURS]), enqueue)


def best_peer(found: Mapping) -> str:
    """Name of the peers' scheme that takes the least device time on the nominal chip."""
    times = {name: scheme["device_us"][0] for name, scheme in peers(found).items()}
    return min(times, key=times.__getitem__)


def sure(values: Sequence[float], more: bool) -> float:
    """The worse of the nominal chip's value and of what `WINS` of the plausible chips reach.

    Args:
        values: Of the nominal chip, then of each plausible one.
        more: Whether more is better.
    """
    nominal, *plausible = values
    ordered = sorted(plausible, reverse=more)
    reached = ordered[math.ceil(WINS * len(ordered)) - 1] if ordered else nominal
    return min(nominal, reached) if more else max(nominal, reached)


def goals(layers: Counted, choices: Mapping[Any, Mapping]) -> list[Goal]:
    """The goals on these cells.

    Args:
        layers, choices: What `cases.count` and `choice_cases.count` found.
    """
    distinct, shared, prompts = {}, {}, {}
    for cell, found in layers.items():
        kind = prompts if cell.batch.prompt else distinct if cell.batch.adapters == "distinct" else shared
        kind[cell] = found
    floors = "launches' floors and minimal bytes"
    groups = {"decode, distinct adapters": distinct, "decode, equal or Zipf adapters": shared}
    long = {cell: found for cell, found in prompts.items() if cell.batch.rows >= LONG}
    goal = f"LoRA of a layer at most {OVER_FLOOR:g} times {floors}"
    tokens = f"prompts of {LONG} tokens"
    return [
        *(_counted(layers) if layers else ()),
        *(each for name, cells in groups.items() for each in _against_peers(name, cells)),
        *_against_peers("prompts", prompts),
        *_against_peers("prompts, cube asked for by rows", prompts, asked, judged=False),
        *(
            _over_floor(
                f"{goal} in nine cells of ten, {name}, 1 to {MOST_ROWS} rows, rank {LEAST_RANK} and more",
                OVER_FLOOR,
                {
                    cell: found[OURS]
                    for cell, found in cells.items()
                    if cell.batch.rows <= MOST_ROWS and cell.rank >= LEAST_RANK
                },
                NINE_OF_TEN,
            )
            for name, cells in groups.items()
        ),
        _over_floor(f"{goal}, {tokens}", OVER_FLOOR, {cell: found[OURS] for cell, found in long.items()}),
        _over_floor(
            f"LoRA of a layer over {floors}, {tokens}, cube asked for by rows",
            None,
            {cell: asked(found) for cell, found in long.items()},
        ),
        _over_floor(f"contrastive choice at most {CHOICE_OVER_FLOOR:g} times {floors}", CHOICE_OVER_FLOOR, choices),
    ]


def _counted(cells: Counted) -> Iterator[Goal]:
    parts = [part for found in cells.values() for part in found[PARTS]]
    launches = [len(launched(found[OURS])) for found in cells.values()]
    moved = [part["bytes moved"] / part["minimal bytes"] for part in parts]
    fetched = [part["fetched"] / part["minimal bytes"] for part in parts]
    trips = sum(part["round trips"] for part in parts)
    drains = Counter()
    for part in parts:
        drains.update(part["drains"])
    kinds = ", ".join(f"{count} {kind}" for kind, count in drains.items())
    yield Goal(
        f"{FEWEST} launches a layer, or up to {MOST_LAUNCHES} where a group's table says so",
        f"at most {max(launches)}; more than {FEWEST} in {sum(n > FEWEST for n in launches)} of {len(launches)} cells",
        max(launches) <= MOST_LAUNCHES,
    )
    yield Goal(
        f"bytes from global memory over minimal at most {OVER_MINIMAL}, by the model's second-level cache",
        _spread(fetched),
        max(fetched) <= OVER_MINIMAL,
    )
    yield Goal("no scalar round trip", f"{trips} in {len(parts)} projections", not trips)
    yield Goal("bytes that cores copy over minimal", _spread(moved), None)
    yield Goal("drains", f"{kinds} in {len(parts)} projections", None)


def _against_peers(
    group: str, cells: Counted, ours: Callable[[Mapping], Mapping] = lambda found: found[OURS], judged: bool = True
) -> Iterator[Goal]:
    peer = "the best peer's scheme in LoRA of a layer"
    never = f"never slower than {peer}, {group}" if judged else f"time of {peer} over ours, {group}"
    median = f"at least {FASTER:g} times as fast as {peer} in the median cell, {group}"
    if not cells:
        yield from (Goal(never, "no such cell", None), *([Goal(median, "no such cell", None)] if judged else ()))
        return
    times = {cell: ratios(found, ours(found)) for cell, found in cells.items()}
    reached = {cell: sure(each, more=True) for cell, each in times.items()}
    worst = min(reached, key=reached.__getitem__)
    nominal = [each[0] for each in times.values()]
    ties = sum(abs(ratio - 1) < TIE for ratio in nominal)
    text = f"median {statistics.median(nominal):.2f}x, worst {min(nominal):.2f}x on the nominal chip, {ties} ties; "
    text += f"worst on {_chips(times)} {reached[worst]:.2f}x ({worst}); "
    text += f"met in {sum(ratio >= 1 for ratio in reached.values())} of {len(reached)} cells"
    yield Goal(never, text, min(reached.values()) >= 1 if judged else None)
    if judged:
        least = statistics.median(reached.values())
        text = f"{statistics.median(nominal):.2f}x on the nominal chip, {least:.2f}x on {_chips(times)}"
        yield Goal(median, text, least >= FASTER)


def _over_floor(goal: str, most: float | None, cells: Mapping[Any, Mapping], share: float = 1.0) -> Goal:
    """Whether such a share of the cells takes ``most`` times the least time at most; reported where that is None."""
    if not cells:
        return Goal(goal, "no such cell", None)
    times = {
        cell: [us / least for us, least in zip(found["device_us"], found["least_us"], strict=True)]
        for cell, found in cells.items()
    }
    reached = {cell: sure(each, more=False) for cell, each in times.items()}
    worst = max(reached, key=reached.__getitem__)
    nominal = [each[0] for each in times.values()]
    text = f"median {statistics.median(nominal):.2f}, worst {max(nominal):.2f} on the nominal chip; "
    text += f"worst on {_chips(times)} {reached[worst]:.2f} ({worst})"
    if most is None:
        return Goal(goal, text, None)
    fit = sum(each <= most for each in reached.values())
    return Goal(goal, f"{text}; met in {fit} of {len(reached)} cells", fit >= share * len(reached))


def _chips(cells: Mapping[Any, Sequence[float]]) -> str:
    """How many of the plausible chips must agree, in words."""
    count = len(next(iter(cells.values()))) - 1
    return f"{math.ceil(WINS * count)} of {count} chips"


def _spread(values: Iterable[float]) -> str:
    values = sorted(values)
    met = sum(value <= OVER_MINIMAL for value in values)
    return f"median {statistics.median(values):.2f}, worst {values[-1]:.2f}, {met} of {len(values)} projections"
