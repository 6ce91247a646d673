"""The plot of decode steps over what a launch costs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

SMALL = 7


def plot(figure: "FigureBase", groups: Mapping[tuple[str, int], Mapping[int, Mapping]]) -> None:
    """A row of panels for each model, one for each rank: milliseconds a step over what a launch costs, of most requests
    that there are; greedy dashed, CoLD solid, a colour for each scheme. ``groups`` is what `step.by_rank` gives."""
    models = list(dict.fromkeys(model for model, _ in groups))
    panels = figure.subplots(len(models), len(groups) // len(models), squeeze=False)
    floors = [2.5 * n for n in range(1, 9)]
    for axes, ((model, rank), group) in zip(panels.flat, groups.items(), strict=True):
        count = max(group)
        names = list(dict.fromkeys(scheme for _, scheme in group[count]))
        for (kind, scheme), step in group[count].items():
            times = [step.us(floor) / 1e3 for floor in floors]
            style = "-" if kind == "CoLD" else "--"
            axes.plot(floors, times, style, color=f"C{names.index(scheme)}", label=f"{kind}, {scheme}")
        axes.set_title(f"{model}, rank {rank}, {count} requests", fontsize=SMALL + 2)
        axes.set_xlabel("us that a launch costs whatever it does")
        axes.set_ylabel("ms a step, modelled")
        axes.grid(alpha=0.3)
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=SMALL)
