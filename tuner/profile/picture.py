"""The timeline of simulated launches as a picture: pipes as rows, a colour a source line, stalls hatched."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cold_kernels.ascend.findings.place import source
from cold_kernels.ascend.simulator.profile.critical import critical_path
from cold_kernels.ascend.simulator.profile.stalls import Slice, Stall

from .profiled import ProfiledKernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

LINES = 8
"""Source lines that have a colour of their own."""
OTHERS = "#b0b0b0"
HATCHES = {
    "flag": "////",
    "barrier": "||||",
    "issue": "....",
    "memory": "xxxx",
    "fallback": "++++",
    "blocking": "ooo",
    "draining": "\\\\\\\\",
    "lock": "**",
    "cores": "||--",
    "group": "..--",
    "completion": "--",
    "program": "OO",
}
SHORT = {
    "flag": "waits for another pipe",
    "barrier": "until earlier work is complete",
    "issue": "the scalar unit is busy elsewhere",
    "memory": "bandwidth",
    "fallback": "done by the scalar unit",
    "blocking": "the scalar unit waits for an operation",
    "draining": "the scalar unit waits for an idle vector pipe",
    "lock": "waits for other programs",
    "cores": "barrier of all cores",
    "group": "waits for its group's other cores",
    "completion": "last accesses under way",
    "program": "the program's other pipes",
}
HEIGHT, PATH, WIDTH, ROW, DPI = 0.8, 0.09, 12.0, 0.525, 110
TEXT = 70
"""Characters of a source line in the legend."""


def draw(kernels: Sequence[ProfiledKernel], path: Path) -> str:
    """Write a picture of `draw_into`; the line to print about it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height(kernels)), layout="constrained")
    draw_into(figure, kernels)
    FigureCanvasAgg(figure).print_figure(path, dpi=DPI, facecolor="white")
    return f"{path}: the timeline of {' and '.join(_name(profiled) for profiled in kernels)}, simulated"


def height(kernels: Sequence[ProfiledKernel]) -> float:
    """Inches that the panels of these take."""
    return ROW * sum(len(_pipes(profiled)) for profiled in kernels) + 2.4


def draw_into(figure: "FigureBase", kernels: Sequence[ProfiledKernel]) -> None:
    """A panel for each profiled, all on the same time axis."""
    rows = [len(_pipes(profiled)) for profiled in kernels]
    panels = figure.subplots(len(kernels), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    timelines = [_timeline(profiled) for profiled in kernels]
    colours = _colours([part for parts, _ in timelines for part in parts if isinstance(part, Slice)])
    kinds: dict[str, None] = {}
    for axes, profiled, (parts, total) in zip(panels, kernels, timelines, strict=True):
        _panel(axes, _pipes(profiled), parts, colours, kinds)
        _path(axes, profiled)
        axes.axvline(total, color="black", linewidth=1)
        axes.set_title(_title(profiled, total), loc="left", fontsize=9)
    panels[-1].set_xlabel(
        "us on the core that finishes last, without what a launch costs; simulated, never measured", fontsize=8
    )
    _legend(figure, colours, kinds)
    chip, kernel = kernels[-1].machine.chip.name, kernels[-1].kernel
    shape = f", {kernels[-1].shape}" if kernels[-1].shape else ""
    figure.suptitle(f"SIMULATED (HIVM level), {chip}: {kernel}{shape}", fontsize=10)


def _timeline(profiled: ProfiledKernel) -> tuple[list[Slice | Stall], float]:
    """Slices and stalls of the launches one after the other, in microseconds, and when the last one ends."""
    parts: list[Slice | Stall] = []
    begin = 0.0
    for launch in profiled.launches:
        scale = 1e6 / launch.simulation.chip.frequency
        found = launch.profile
        for start, recording in found.programs:
            for part in (*recording.slices, *recording.stalls):
                first, last = ((start + at) * scale + begin for at in (part.start, part.end))
                parts.append(part._replace(start=first, end=last))
        begin += found.cycles * scale
    return parts, begin


def _colours(slices: Sequence[Slice]) -> dict[str, str]:
    """A colour for each of the lines that most time is spent on, by ``file:line``."""
    from matplotlib import colormaps

    times: Counter[str] = Counter()
    for part in slices:
        times[part.line] += part.end - part.start
    chosen = sorted(
        (line for line, _ in times.most_common(LINES)), key=lambda line: (line.rpartition(":")[0], _number(line))
    )
    return dict(zip(chosen, map(_hex, colormaps["tab10"].colors), strict=False))


def _pipes(profiled: ProfiledKernel) -> tuple[str, ...]:
    """The rows of a panel: the pipes of all its launches."""
    return tuple(dict.fromkeys(pipe for launch in profiled.launches for pipe in launch.profile.pipes))


def _panel(
    axes: "Axes", pipes: Sequence[str], parts: Sequence[Slice | Stall], colours: dict[str, str], kinds: dict[str, None]
) -> None:
    for row, pipe in enumerate(pipes):
        base = len(pipes) - 1 - row - HEIGHT / 2
        spans: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for part in parts:
            if part.pipe == pipe:
                key = ("slice", part.line) if isinstance(part, Slice) else ("stall", part.cause.kind)
                spans.setdefault(key, []).append((part.start, part.end - part.start))
        for (what, name), ranges in sorted(spans.items()):
            if what == "slice":
                axes.broken_barh(ranges, (base, HEIGHT), facecolors=colours.get(name, OTHERS), linewidth=0)
            else:
                kinds[name] = None
                style = dict(facecolors="none", edgecolors="#a0a0a0", linewidth=0, hatch=HATCHES[name])
                axes.broken_barh(_merged(ranges), (base, HEIGHT), **style)
    axes.set_yticks(range(len(pipes)), reversed(pipes))
    axes.set_ylim(-0.6, len(pipes) - 0.4)
    axes.margins(x=0.01)
    axes.tick_params(labelsize=8)


def _path(axes: "Axes", profiled: ProfiledKernel) -> None:
    """A black line under what the time is made of."""
    begin, pipes = 0.0, _pipes(profiled)
    for launch in profiled.launches:
        scale = 1e6 / launch.simulation.chip.frequency
        found = launch.profile
        for start, recording in found.programs:
            for step in critical_path(recording):
                first, last = ((start + at) * scale + begin for at in (step.start, step.end))
                base = len(pipes) - 1 - pipes.index(step.pipe) - HEIGHT / 2 - PATH
                axes.broken_barh([(first, last - first)], (base, PATH), facecolors="black", linewidth=0)
        begin += found.cycles * scale


def _merged(ranges: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Ranges that touch as one, so that hatching goes on across them."""
    merged: list[tuple[float, float]] = []
    for start, length in sorted(ranges):
        if merged and start - sum(merged[-1]) < 1e-9:
            first, before = merged[-1]
            merged[-1] = (first, max(before, start + length - first))
        else:
            merged.append((start, length))
    return merged


def _legend(figure, colours: dict[str, str], kinds: dict[str, None]) -> None:
    from matplotlib.patches import Patch

    lines = [Patch(color=colour, label=_label(line)) for line, colour in colours.items()]
    lines.append(Patch(color=OTHERS, label="other lines"))
    lines.append(Patch(color="black", label="critical path: what the time is made of, latencies included"))
    waits = [
        Patch(facecolor="white", edgecolor="#a0a0a0", hatch=HATCHES[kind], label=f"stalled: {kind}, {SHORT[kind]}")
        for kind in HATCHES
        if kind in kinds
    ]
    figure.legend(handles=lines + waits, loc="outside lower left", ncols=2, fontsize=7, frameon=False)


def _label(line: str) -> str:
    file, _, number = line.rpartition(":")
    text = source(line)
    text = text if len(text) <= TEXT else f"{text[: TEXT - 3]}..."
    return f"{Path(file).name}:{number}  {text}".replace("$", r"\$")


def _title(profiled: ProfiledKernel, total: float) -> str:
    config = f": {profiled.config}" if profiled.config is not None else ""
    return f"{_name(profiled)}{config} -- {total:.2f} us"


def _name(profiled: ProfiledKernel) -> str:
    if profiled.config is None:
        return profiled.kernel
    return {"default": "default", "--config": "as asked for"}.get(profiled.reason.partition(",")[0], "tuned")


def _number(line: str) -> int:
    number = line.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0


def _hex(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
