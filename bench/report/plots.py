"""The report's plots, by matplotlib; each draws into the figure that it is given."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

SMALL = 7
KIB = 1024


@dataclass(frozen=True)
class Point:
    """A case under its roof: bytes that must move, simulated us from the first program's start, and their floor."""

    kernel: str
    case: str
    group: str
    minimal_bytes: int
    us: float
    floor_us: float
    facts: Mapping

    @property
    def share(self) -> float:
        """Of the roof that is reached, at most 1."""
        return self.floor_us / self.us


def rooflines(figure: "FigureBase", kernels: Mapping[str, Sequence[Point]], bytes_per_second: float) -> None:
    """A panel for each kernel: time over bytes that must move, the roof below, a colour for each group of sizes."""
    panels = figure.subplots(1, len(kernels), sharey=True, squeeze=False)[0]
    for axes, (kernel, found) in zip(panels, kernels.items(), strict=True):
        groups = list(dict.fromkeys(point.group for point in found))
        for number, group in enumerate(groups):
            mine = [point for point in found if point.group == group]
            x, y = [p.minimal_bytes / KIB for p in mine], [p.us for p in mine]
            axes.scatter(x, y, s=18, color=f"C{number}", label=group or None, zorder=3)
        ends = [pick(point.minimal_bytes for point in found) for pick in (min, max)]
        roof = [end / bytes_per_second * 1e6 for end in ends]
        axes.plot([end / KIB for end in ends], roof, color="black", label="floor of the bytes")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("KiB that must move")
        share = statistics.median(point.share for point in found)
        axes.set_title(f"{kernel}\n{100 * share:.0f} % of the roof (median)", fontsize=SMALL + 2)
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=SMALL)
    panels[0].set_ylabel("us of device time from the first program's start, simulated")


def accepted_cycles(figure: "FigureBase", kernels: Mapping[str, Sequence[float]], dates: Sequence[str]) -> None:
    """A line for each kernel over what was accepted."""
    axes = figure.subplots()
    for kernel, ratios in kernels.items():
        axes.plot(range(1, len(ratios) + 1), ratios, marker="o", label=kernel)
    axes.set_ylabel("cycles over the first, simulated")
    axes.set_xticks(range(1, len(dates) + 1), [f"{n}\n{date}" for n, date in enumerate(dates, 1)], fontsize=SMALL)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=SMALL)


def clock(figure: "FigureBase", kinds: Mapping[str, Sequence[tuple[float, float | None]]]) -> None:
    """A row for each kind of benchmark, a dot for each of its cases, a ring for what was accepted."""
    axes = figure.subplots()
    for row, ratios in enumerate(kinds.values()):
        accepted = [before for _, before in ratios if before is not None]
        axes.scatter(accepted, [row] * len(accepted), s=36, facecolors="none", edgecolors="grey")
        axes.scatter([now for now, _ in ratios], [row] * len(ratios), s=10, color="C0", zorder=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="ours over the reference, measured (rings: accepted)")
    axes.set_yticks(range(len(kinds)), list(kinds), fontsize=SMALL)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)


def beside_peers(figure: "FigureBase", points: Mapping[int, Sequence[tuple[int, float]]]) -> None:
    """A dot for each layer: the fastest peer's time over ours, over the rows; a colour a rank, lines at medians."""
    axes = figure.subplots()
    for number, (rank, found) in enumerate(points.items()):
        shift = 1 + 0.06 * (number - len(points) / 2)
        axes.scatter([rows * shift for rows, _ in found], [ratio for _, ratio in found], s=14, color=f"C{number}")
        counts = sorted({rows for rows, _ in found})
        medians = [statistics.median(ratio for rows, ratio in found if rows == count) for count in counts]
        axes.plot([rows * shift for rows in counts], medians, color=f"C{number}", label=f"rank {rank}")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="rows", ylabel="times as fast as the fastest peer, device time, simulated", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=SMALL)
