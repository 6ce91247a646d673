"""The drawings of a search, by matplotlib; each draws into the figure that it is given."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .studies import Search

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

SMALL = 7
COLUMNS = 4
"""Panels beside each other."""


def gains(figure: "FigureBase", search: Search, floors: Mapping[str, float]) -> None:
    """By case: the default, the best, and the time of the bytes that must move where it is known."""
    axes = figure.subplots()
    rows = range(len(search.cases))
    bests = [search.best_for(case).us[case] for case in search.cases]
    if search.default:
        axes.barh(
            [row - 0.2 for row in rows], [search.default.us[case] for case in search.cases], 0.36, label="default"
        )
    axes.barh([row + 0.2 for row in rows], bests, 0.36, color="C1", label="best of this case")
    if floors:
        known = [(row, floors[case]) for row, case in enumerate(search.cases) if case in floors]
        axes.plot([us for _, us in known], [row for row, _ in known], "k|", markersize=14, label="floor of the bytes")
    axes.set_yticks(list(rows), search.cases, fontsize=SMALL)
    axes.invert_yaxis()
    axes.set_xlabel("us of device time, simulated")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=SMALL)


def convergence(figure: "FigureBase", search: Search) -> None:
    """Each trial's time, the best so far, and below them what cannot be used."""
    axes = figure.subplots()
    numbers = [trial.number + 1 for trial in search.usable]
    times = [trial.value for trial in search.usable]
    axes.scatter(numbers, times, s=12, label="a trial")
    axes.step(numbers, list(itertools.accumulate(times, min)), where="post", color="C1", label="best so far")
    failed = [trial.number + 1 for trial in search.trials if not trial.usable]
    if failed:
        axes.plot(failed, [0.03] * len(failed), "x", color="C3", markersize=5, transform=axes.get_xaxis_transform(),
                  label="not usable")  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="both", labelsize=SMALL)
    axes.set(xlabel="trial", ylabel="us over all cases, simulated")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=SMALL)


def importance(figure: "FigureBase", shares: Mapping[str, float]) -> None:
    """A bar for each tunable."""
    axes = figure.subplots()
    axes.barh(list(shares), list(shares.values()))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of what decides whether a configuration is among the fastest")
    axes.grid(alpha=0.3, axis="x")


def slices(figure: "FigureBase", search: Search) -> None:
    """A panel for each tunable: every usable trial over the value that it has, the best of each value as a line."""
    tunables = tunables_of(search)
    rows = -(-len(tunables) // COLUMNS)
    panels = figure.subplots(rows, min(COLUMNS, len(tunables)), sharey=True, squeeze=False).flat
    for axes, name in zip(panels, tunables, strict=False):
        values = values_of(search, name)
        for place, value in enumerate(values):
            times = [trial.value for trial in search.usable if trial.config[name] == value]
            axes.scatter([place] * len(times), times, s=9, color="C0")
        bests = [min(t.value for t in search.usable if t.config[name] == value) for value in values]
        axes.plot(range(len(values)), bests, color="C1")
        axes.set_xticks(range(len(values)), [str(value) for value in values], fontsize=SMALL)
        axes.set_title(name, fontsize=SMALL + 2)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="y", which="both", labelsize=SMALL)
        axes.grid(alpha=0.3)
    for axes in list(panels):
        axes.set_visible(False)


def regret(figure: "FigureBase", cases: Sequence[str], table: Sequence[Sequence[float]]) -> None:
    """A field for each pair of cases: what the best configuration of the row's costs more in the column's."""
    axes = figure.subplots()
    axes.imshow(table, cmap="Oranges", vmin=0, vmax=max(0.2, *map(max, table)), aspect="auto")
    for row, column in itertools.product(range(len(cases)), repeat=2):
        axes.text(column, row, f"{100 * table[row][column]:.0f}", ha="center", va="center", fontsize=SMALL)
    axes.set_xticks(range(len(cases)), [f"{n}" for n in range(1, len(cases) + 1)], fontsize=SMALL)
    axes.set_yticks(range(len(cases)), [f"{n}: {case}" for n, case in enumerate(cases, 1)], fontsize=SMALL)
    axes.set(xlabel="% more time than the best of this case", ylabel="the best configuration of")


def tunables_of(search: Search) -> list[str]:
    """The tunables of which more than one value was timed."""
    if not search.usable:
        return []
    return [name for name in search.usable[0].config if len(values_of(search, name)) > 1]


def values_of(search: Search, name: str) -> list:
    """The values of a tunable that were timed, in order."""
    return sorted({trial.config[name] for trial in search.usable}, key=lambda value: (str(type(value)), value or 0))
