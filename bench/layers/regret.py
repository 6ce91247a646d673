"""``python -m bench regret``: what it costs at least that a launch takes the nearest entry of a table.

The best that is looked for is that of the configurations which the table has for the rank.
"""

import argparse
import math
import random
import statistics
from dataclasses import dataclass

from . import cases as layer_cases
from .projections import MODELS

MEDIAN, NINTH_DECILE = 0.02, 0.10
"""The goals."""


@dataclass(frozen=True)
class Regret:
    """A launch of `bgmv_shrink_expand` on a layer's projection.

    Args:
        us: Device time, simulated, with the configuration that a launch takes, launch included, nominal chip.
        best_us: With the best of the configurations that the table has for the rank.
        tried: How many there are.
    """

    launch: str
    us: float
    best_us: float
    tried: int

    @property
    def regret(self) -> float:
        return self.us / self.best_us - 1


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "regret",
        help="what the nearest entry of a table costs, where a size has none of its own",
        description="Draws launches of the grid, times each in the configuration that a launch takes and in all others "
        "that the shipped table has for its rank, and says how much slower the former is than the best.",
    )
    parser.add_argument("--sample", type=int, default=40, metavar="N", help="launches; default: 40")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; default: 0")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    everything = len(layer_cases.grid())
    if not 1 <= arguments.sample <= everything:
        raise ValueError(f"--sample {arguments.sample}: the grid has {everything} cells; take 1 to all")
    import xdsl  # noqa: F401

    found = []
    try:
        for cell, place in launches(arguments.sample, arguments.seed):
            found.append(regret(cell, place))
            one = found[-1]
            print(f"{one.regret:6.1%}  {one.us:7.1f} us, best of {one.tried} {one.best_us:7.1f} us  {one.launch}")
    except KeyboardInterrupt:
        print(summary(found) if found else "no launch was timed")
        raise
    print(summary(found))


def launches(count: int, seed: int) -> list[tuple[layer_cases.LayerCase, int]]:
    """Cells of the grid in the order of its sample, and of each a projection."""
    draw = random.Random(f"regret/{seed}")
    return [(cell, draw.randrange(4)) for cell in layer_cases.sample(count, seed)]


def regret(cell: layer_cases.LayerCase, place: int) -> Regret:
    """Of one launch.

    Raises:
        AscendError: the configuration that a launch takes does not compile there.
    """
    from cold_kernels import tables
    from cold_kernels.ascend.errors import AscendError
    from tuner.gate.cells import shipped_tables
    from tuner.search.evaluate import Evaluator

    from .on_chips import machine
    from .schemes import OURS

    projection = MODELS[cell.model].projections[place]
    with shipped_tables():
        (launch,) = OURS.launches(projection, cell.batch, cell.rank, cell.dtype, cell.chip)
        known = [
            entry.config
            for table, _ in tables.read(launch.spec, cell.chip)
            for entry in table.entries
            if entry.shape["R"] == cell.rank
        ]
    evaluator = Evaluator(launch.spec, machine(cell.chip), blank=True)
    mine = evaluator.timed(launch.configs[0], launch.case).microseconds
    times = [mine]
    for config in dict.fromkeys(known):
        try:
            times.append(evaluator.timed(config, launch.case).microseconds)
        except AscendError:
            continue  # too large for the unified buffer at this size
    return Regret(f"{cell}, {projection.name}", mine, min(times), len(times) - 1)


def summary(found: list[Regret]) -> str:
    """Median and ninth decile, beside the goals."""
    regrets = sorted(one.regret for one in found)
    ninth = regrets[max(0, math.ceil(0.9 * len(regrets)) - 1)]
    return (
        f"SIMULATED device time: regret of {len(found)} launches of bgmv_shrink_expand, at least: "
        f"median {statistics.median(regrets):.1%} (goal {MEDIAN:.0%}), "
        f"90th percentile {ninth:.1%} (goal {NINTH_DECILE:.0%}), worst {regrets[-1]:.1%}"
    )
